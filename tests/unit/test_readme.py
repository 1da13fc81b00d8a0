"""README's table of features: each row names what shows it, and that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^]]+\]\(([^)#]+)(?:#([^)]+))?\)")


def rows_of(section: str) -> list[list[str]]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [table] = re.findall(rf"^## {section}\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


ROWS = rows_of("What it does")


def anchors_of(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub and the hub make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_features():
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip("*") for row in ROWS])
def test_a_feature_is_shown_by_a_test_or_a_figure_that_exists(row: list[str]):
    name, meaning, shown = row
    assert name.startswith("**")
    assert meaning
    links = LINK.findall(shown)
    assert links
    for path, anchor in links:
        found = ROOT / path
        assert found.is_file(), path
        if path.startswith("tests/"):
            assert re.search(r"^(async )?def test_", found.read_text(encoding="utf-8"), re.MULTILINE), path
        else:
            assert anchor in anchors_of(found), f"{path} has no {anchor}"
