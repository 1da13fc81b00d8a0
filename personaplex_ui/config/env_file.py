"""Reads the file ``.env``: its text as variables, each value exactly as written.

Depends on the file's syntax (python-dotenv's: ``NAME=VALUE``, ``export``, quotes, comments), not on names.
Nothing in a value is expanded, so a password may contain ``$``.
"""

import codecs
import io
from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import parse_stream

from personaplex_ui.errors import SettingsError

MAX_FILE_BYTES = 1024 * 1024

ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Recognised by the byte order mark, which Windows editors write."""


def read_chosen_file(environment: Mapping[str, str], folder: Path = Path()) -> dict[str, str]:
    """The variables of the file that ENV_FILE in ``environment`` names, or of ``.env``; both in ``folder``.
    ``.env`` may be missing.

    Raises:
        SettingsError: the named file is missing, or the file or one of its lines cannot be read.
    """
    name = environment.get("ENV_FILE", "").strip()
    if name and not (folder / name).exists():
        raise SettingsError(f"ENV_FILE names {name}, which is missing. Correct it or unset it.", "ENV_FILE")
    return read_env_file(folder / (name or ".env"))


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of the file; none if there is no file.

    Raises:
        SettingsError: the file or one of its lines cannot be read. Values are not repeated: they may be
        secret.
    """
    try:
        if not path.exists():
            return {}
        if path.is_dir():
            raise SettingsError(f"{path} is a folder. Put the file with your settings in its place.")
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        why = error.strerror or "it cannot be opened"
        raise SettingsError(f"{path} cannot be read: {why}. Let this user read it, or remove it.") from error
    if len(data) > MAX_FILE_BYTES:
        raise SettingsError(f"{path} is larger than 1 MB, so it cannot be a file of settings.")
    encoding = next((name for mark, name in ENCODINGS if data.startswith(mark)), "utf-8")
    try:
        return parse(data.decode(encoding), str(path))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not in UTF-8. Save it in this encoding.") from error


def parse(text: str, name: str = ".env") -> dict[str, str]:
    """The variables of ``text``; if one is set several times, the last value counts.

    Raises:
        SettingsError: a line is not ``NAME=VALUE``; the sentence gives its number.
    """
    variables: dict[str, str] = {}
    # Line ends of every system. A lone CR does not end a line for python-dotenv.
    for binding in parse_stream(io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"))):
        if binding.error or (binding.key and binding.value is None):
            line = binding.original.line + _blank_lines_before(binding.original.string)
            raise SettingsError(
                f"Line {line} of {name} is not NAME=VALUE. Correct it; a value that contains quotes, "
                "spaces or # stands in quotes of the other kind."
            )
        if binding.key and binding.value is not None:
            if "\0" in binding.value + binding.key:
                raise SettingsError(
                    f"Line {binding.original.line} of {name} contains a zero byte. Remove it."
                )
            variables[binding.key] = binding.value
    return variables


def _blank_lines_before(statement: str) -> int:
    return len(statement) - len(statement.lstrip("\n"))
