"""The README's commands exist and its files are there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from loupe import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(
    r"^(?:make|\.venv/bin/loupe) .*$", "\n".join(re.findall(r"```bash\n(.*?)```", README, re.S)), re.M
)


def test_the_readme_shows_commands():
    assert any(command.startswith("make demo") for command in COMMANDS)
    assert any(command.startswith("make test") for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_is_understood(command):
    words = shlex.split(command, comments=True)
    if words[0] == "make":
        done = subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    else:
        assert cli._parser(words[1:]).parse_args(words[1:])


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_a_link_of_the_readme_leads_somewhere(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("verb", ["demo", "serve", *cli.STEPS])
def test_every_command_explains_itself(verb):
    done = subprocess.run([sys.executable, "-m", "loupe", verb, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--" in done.stdout
