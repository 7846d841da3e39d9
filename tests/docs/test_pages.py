"""Every page in docs/ and the README lead to what exists, and the rooms are those of the code."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "deploy" / "INSTALL.md"]


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ +(.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text())
    assert links
    for link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in PAGES[1:] if f"/{page.name})" not in readme] == []


def test_the_rooms_are_those_of_the_package() -> None:
    table = (ROOT / "docs" / "architecture.md").read_text().partition("## Rooms")[2]
    rows = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    named = {name.rstrip("/") for row in rows for name in re.findall(r"`([a-z]+/?)`", row)}
    rooms = {
        path.stem
        for path in (ROOT / "dicomnode").iterdir()
        if not path.name.startswith(("_", "py.typed"))
    }
    assert named == rooms
