"""Writes what blocks found into docs/PERFORMANCE.md, each between marks of its own."""

import re
from pathlib import Path

from benchmarks.ticks.block import Block
from personaplex_ui.errors import PersonaplexError

PAGE = Path("docs/PERFORMANCE.md")


def begin_mark(name: str) -> str:
    return f"<!-- begin: ticks {name} -->"


def end_mark(name: str) -> str:
    return f"<!-- end: ticks {name} -->"


def write_block(page: Path, block: Block, caption: str) -> None:
    """Replace what stands between the marks of ``block`` by its table and ``caption``, which says where and
    how it was measured.

    Raises:
        PersonaplexError: the page is not there or has no such marks.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise PersonaplexError(
            f"{page} cannot be read ({error.strerror}). Run this where the repository is."
        ) from error
    page.write_text(with_block(text, block, caption, page), encoding="utf-8")


def with_block(text: str, block: Block, caption: str, page: Path = PAGE) -> str:
    between = re.compile(
        f"(?<={re.escape(begin_mark(block.name))}\n).*?(?={re.escape(end_mark(block.name))})", re.DOTALL
    )
    written, places = between.subn(lambda _: f"{caption}\n\n{block.to_markdown()}\n", text)
    if places != 1:
        raise PersonaplexError(
            f"{page} has {places} places between {begin_mark(block.name)} and {end_mark(block.name)}; "
            "it must have one."
        )
    return written
