"""Reads the folder of DOCUMENTS_DIR, within limits. No link in it leads to anything outside."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from personaplex_ui.errors import SettingsError
from personaplex_ui.speech.documents.passages import passages_of
from personaplex_ui.speech.documents.retrieval import Documents

ENDINGS = (".txt", ".md")
MOST_FILES = 200
LONGEST_FILE_BYTES = 1_000_000
MOST_BYTES = 8_000_000
NAME = "DOCUMENTS_DIR"


def read_documents(folder: Path) -> Documents:
    """The documents in ``folder`` and the folders in it; hidden ones are left out.

    Raises:
        SettingsError: it is not a folder of such files, or they exceed the limits.
    """
    if not folder.is_dir():
        raise _refused(f"is {str(folder)!r}, which is not a folder. Correct the path.")
    root, left_bytes = folder.resolve(), MOST_BYTES
    files = sorted(_files_in(folder))
    if not files:
        raise _refused(f"has no text files in it. Put files into it that end in {' or '.join(ENDINGS)}.")
    if len(files) > MOST_FILES:
        raise _refused(f"has {len(files)} files; {MOST_FILES} are read at most. Join some of them.")
    passages: list[str] = []
    for path in files:
        name = path.relative_to(folder).as_posix()
        if not path.resolve().is_relative_to(root):
            raise _refused(
                f"has a link in it, {name!r}, that leads out of the folder. Copy the file instead."
            )
        text = _text_of(path, name)
        left_bytes -= len(text.encode())
        if left_bytes < 0:
            raise _refused(f"has more than {MOST_BYTES // 1_000_000} MB of text in it. Leave some of it out.")
        passages += passages_of(text)
    return Documents(passages)


def _files_in(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):  # which follows no links to folders
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and name.lower().endswith(ENDINGS):
                yield Path(place) / name


def _text_of(path: Path, name: str) -> str:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _refused(f"has {name!r} in it, which is not a file. Remove it.")
        if found.st_size > LONGEST_FILE_BYTES:
            most = LONGEST_FILE_BYTES // 1_000_000
            raise _refused(f"has {name!r} in it, which is larger than {most} MB. Cut it into several files.")
        with path.open("rb") as file:
            content = file.read(LONGEST_FILE_BYTES)
        return content.decode("utf-8-sig")
    except OSError as error:
        raise _refused(f"has {name!r} in it, which cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise _refused(f"has {name!r} in it, which is not text in UTF-8. Save it as that.") from None


def _refused(sentence: str) -> SettingsError:
    return SettingsError(f"{NAME} {sentence}", NAME)
