"""The documentation corpus: docstrings of the standard library and of libraries in the environment, found by `ast`
without importing them, and the language reference topics of `pydoc_data`. Files come in a seeded order, read on demand."""

import ast
import importlib.util
import random
import re
import sysconfig
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version

from precompute.corpora.documents import Corpus, Document

COLUMNS = ("package", "kind", "module", "name")
STANDARD_LIBRARY, LANGUAGE = "python", "python-language"
LIBRARIES = {  # import name -> distribution
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "transformers": "transformers",
    "sqlalchemy": "SQLAlchemy",
    "pyarrow": "pyarrow",
    "zarr": "zarr",
    "joblib": "joblib",
    "flask": "Flask",
}
SKIPPED_FOLDERS = {"test", "tests", "_vendor", "externals", "site-packages", "dist-packages", "lib2to3", "idlelib"}
DOCUMENTS_PER_FILE = 10
LEAST_CHARACTERS = 200
LEAST_WORDS = 25
LEAST_LETTERS = 0.65  # share of the characters that are not white space
KINDS = {ast.Module: "module", ast.ClassDef: "class", ast.FunctionDef: "function", ast.AsyncFunctionDef: "function"}


def documentation(seed: int) -> Corpus:
    """The corpus of every listed library that is installed: one stratum per library, one for the standard library and
    one for the language reference. The same seed and environment give the same documents in the same order."""
    strata = {LANGUAGE: topics(seed), STANDARD_LIBRARY: docstrings(standard_library(), STANDARD_LIBRARY, seed)}
    names = [f"Python {python_version()} (language reference and standard library)"]
    for package, distribution in LIBRARIES.items():
        folder = installed_folder(package)
        if folder is not None:
            strata[package] = docstrings(folder, package, seed)
            names.append(f"{distribution} {installed_version(distribution)}")
    return Corpus(strata, COLUMNS, f"the documentation strings of {', '.join(names)}")


def standard_library() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def installed_folder(package: str) -> Path | None:
    """Where a top-level package lies, without importing it; None when it is not installed."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def installed_version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "(unknown version)"


def topics(seed: int) -> Iterator[Document]:
    """The language reference, one document per topic of `help()`, in a seeded order; nothing where it is not shipped."""
    if importlib.util.find_spec("pydoc_data") is None:
        return
    from pydoc_data.topics import topics as texts

    names = sorted(texts)
    random.Random(f"{seed} {LANGUAGE}").shuffle(names)
    for name in names:
        text = tidy(texts[name])
        if is_prose(text):
            metadata = {"package": LANGUAGE, "kind": "topic", "module": "pydoc_data.topics", "name": name}
            yield Document(f"{LANGUAGE}:{name}", text, metadata)


def docstrings(folder: Path, package: str, seed: int) -> Iterator[Document]:
    """The prose docstrings below a package's folder: files in a seeded order, at most 10 documents of each file."""
    files = [(path, module_name(path, folder, package)) for path in sorted(folder.rglob("*.py"))]
    files = [(path, module) for path, module in files if not SKIPPED_FOLDERS & set(path.relative_to(folder).parts)]
    random.Random(f"{seed} {package}").shuffle(files)
    for path, module in files:
        found = [
            Document(
                f"{package}:{module}:{name}",
                text,
                {"package": package, "kind": kind, "module": module, "name": name or module},
            )
            for kind, name, text in file_docstrings(path)
            if is_prose(text)
        ]
        unique = list({document.id: document for document in found}.values())
        random.Random(f"{seed} {package} {module}").shuffle(unique)
        yield from unique[:DOCUMENTS_PER_FILE]


def module_name(path: Path, folder: Path, package: str) -> str:
    """The dotted name of a file; modules of the standard library have no package before them."""
    parts = list(path.relative_to(folder).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts if package == STANDARD_LIBRARY else [package, *parts]) or package


def file_docstrings(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, qualified name, text) of every docstring in a file; nothing for a file that does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, OSError):
        return
    stack: list[tuple[str, ast.AST]] = [("", tree)]
    while stack:
        name, node = stack.pop()
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if text := ast.get_docstring(node):
                yield KINDS[type(node)], name, tidy(text)
            for child in reversed(node.body):
                if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                    stack.append((f"{name}.{child.name}".lstrip("."), child))


def tidy(text: str) -> str:
    """Unix line ends, no control characters, at most one blank line in a row, no white space at either end."""
    text = re.sub(r"[^\S\n]+$", "", text.replace("\r\n", "\n").expandtabs(4), flags=re.MULTILINE)
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def is_prose(text: str) -> bool:
    """True for a text worth reading: long enough, made of words rather than of numbers, tables or rules."""
    if len(text) < LEAST_CHARACTERS:
        return False
    solid = re.sub(r"\s", "", text)
    letters = sum(map(str.isalpha, solid))
    return letters >= LEAST_LETTERS * len(solid) and len(re.findall(r"[^\W\d_]{2,}", text)) >= LEAST_WORDS
