"""Problems found in a file: each with its line, all of them counted, the first ones kept."""

from typing import NamedTuple

from loaders.errors import BadInput

MOST = 100
"""Problems that are named; further ones are counted."""


class Problem(NamedTuple):
    """What is wrong in `line` of `file`; line 0 stands for the file as a whole."""

    file: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.problem}" if self.line else f"{self.file}: {self.problem}"


class FileRefused(BadInput):
    """Nothing of the file can be imported; `problems` are the first ones, `count` is how many there are."""

    def __init__(self, file: str, problems: list[Problem], count: int) -> None:
        more = f" (and {count - 1:,} more)" if count > 1 else ""
        super().__init__(f"{problems[0]}{more}. Nothing was imported: correct the file and try again.")
        self.file, self.problems, self.count = file, problems, count


class Unreadable(Exception):
    """The file cannot be read beyond this place; the reader turns it into one problem."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line, self.problem = line, problem


class Problems:
    """Collects the problems of one file."""

    def __init__(self, file: str) -> None:
        self.file, self.count = file, 0
        self._found: list[Problem] = []

    def add(self, line: int, problem: str) -> None:
        self.count += 1
        if len(self._found) < MOST:
            self._found.append(Problem(self.file, line, " ".join(problem.split())))

    def require_none(self) -> None:
        """Raise FileRefused where there is a problem; they are listed by line."""
        if self.count:
            raise FileRefused(self.file, sorted(self._found, key=lambda each: each.line), self.count)
