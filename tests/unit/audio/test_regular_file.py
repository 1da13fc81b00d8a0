"""Only files are opened, and nothing is waited for."""

import os
import socket
from pathlib import Path

import pytest

from personaplex_ui.audio.files.clip_file import decode_clip
from personaplex_ui.audio.files.regular_file import open_regular
from personaplex_ui.errors import InvalidInput


def test_files_and_links_to_them(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"sound")
    (tmp_path / "link").symlink_to("x")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"sound"


def test_what_is_not_a_file(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").symlink_to("gone")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "socket"))
        for name in ("pipe", "device", "folder", "broken", "socket"):
            with pytest.raises(OSError, match=r"It is not a file|No such"):
                open_regular(tmp_path / name)
            with pytest.raises(InvalidInput, match="cannot be opened"):
                decode_clip(tmp_path / name, 1.0)
