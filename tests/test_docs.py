"""Every link of the documentation leads to a file that is there, and to a heading that it has."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINKS = [
    (path, target)
    for path in sorted((ROOT / "docs").glob("*.md"))
    for target in re.findall(
        r"\]\((?!https?:|mailto:)([^)\s]+)\)", re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
    )
]


def anchors(path: Path) -> set[str]:
    """What GitHub makes of the headings."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
    return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for words in re.findall(r"^#+ (.+)$", text, re.M)}


def test_the_documentation_has_links() -> None:
    assert len(LINKS) > 20


@pytest.mark.parametrize(("path", "target"), LINKS, ids=lambda each: each.name if isinstance(each, Path) else each)
def test_a_link_of_the_documentation_leads_somewhere(path: Path, target: str) -> None:
    file, _, heading = target.partition("#")
    leads_to = path.parent / file if file else path
    assert leads_to.exists()
    assert not heading or heading in anchors(leads_to)
