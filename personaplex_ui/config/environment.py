"""Prepares the environment before libraries are imported: ``.env``, folders, usable proxies.

Depends on variables that Python and the libraries read, and on our ENV_FILE. Imports no library except httpx.
"""

import getpass
import os
import re
import stat
import tempfile
from collections.abc import Iterator, MutableMapping
from pathlib import Path

import httpx

from personaplex_ui.config.env_file import read_chosen_file
from personaplex_ui.config.unread_names import unread_names
from personaplex_ui.config.values import shown
from personaplex_ui.errors import SettingsError

PROXY = "a proxy's address, as in http://proxy.example.org:3128 or socks5://localhost:1080"
PROXIES_ALLOWED = {
    "ALL_PROXY": PROXY,
    "HTTPS_PROXY": PROXY,
    "HTTP_PROXY": PROXY,
    "NO_PROXY": "a list of hosts, as in localhost,.example.org,::1 (IPv6 networks cannot be read)",
}
WHOLE_NUMBERS = ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_LOCAL_DIR_AUTO_SYMLINK_THRESHOLD")
"""Gradio imports the hub's client, which reads them; one that is not a number would end the start."""

PROXY_VARIABLES = (*PROXIES_ALLOWED, *(name.lower() for name in PROXIES_ALLOWED))


def prepare_environment(environment: MutableMapping[str, str]) -> list[str]:
    """Add to ``environment``, usually ``os.environ``, the variables of the file ENV_FILE (``.env`` in the
    working folder) and missing defaults. Existing variables stay. Returns sentences for the log.

    Raises:
        SettingsError: the file is missing though it is named, or cannot be read, nothing can be written in
            the temp folders, or a proxy's address cannot be used.
    """
    file = read_chosen_file(environment)
    for name, value in file.items():
        environment.setdefault(name, value)
    check_proxies(environment)
    give_gradio_a_folder(environment)
    notes = [*settle_hub_variables(environment), *give_home(environment)]
    return [*notes, *unread_names(file, environment.get("ENV_FILE", "").strip() or ".env")]


# Folders ---------------------------------------------------------------------------------------------


def give_gradio_a_folder(environment: MutableMapping[str, str]) -> None:
    """Set GRADIO_TEMP_DIR, where uploads go, to a folder of this user alone. Gradio's own default, ``gradio``
    in the system's temp folder, may belong to somebody else."""
    given = environment.get("GRADIO_TEMP_DIR", "").strip()
    try:
        if given:
            Path(given).mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=given).close()
        else:
            folder = private_folder(Path(tempfile.gettempdir()), "gradio")
            environment["GRADIO_TEMP_DIR"] = str(folder)
    except OSError as error:
        why = error.strerror or error
        sentence = (
            f"GRADIO_TEMP_DIR is {given!r}, but nothing can be written there: {why}. "
            "Set it to a folder that this user may write to, or leave it unset."
            if given
            else f"No folder for uploads can be created: {why}. "
            "Set TMPDIR or GRADIO_TEMP_DIR to a folder that this user may write to."
        )
        raise SettingsError(sentence, "GRADIO_TEMP_DIR") from error


def private_folder(parent: Path, name: str) -> Path:
    """The folder ``name`` in ``parent``, private to this user and created if missing; one with a random name
    if somebody else owns that name.

    Raises:
        OSError: it cannot be created.
    """
    user = os.getuid() if hasattr(os, "getuid") else None
    folder = parent / (name if user is None else f"{name}-{user}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:  # it is a file
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    found = folder.lstat()
    if user is not None and (found.st_uid != user or not stat.S_ISDIR(found.st_mode)):
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    folder.chmod(0o700)
    return folder


def give_home(environment: MutableMapping[str, str]) -> Iterator[str]:
    """Set HOME and USER for a user whom the system does not know, as OpenShift's are."""
    if not environment.get("HOME"):
        environment.pop("HOME", None)  # empty, it would mean the root of the file system
    if "HOME" not in environment and os.path.expanduser("~") == "~":
        try:
            home = private_folder(Path(tempfile.gettempdir()), "personaplex-home")
        except OSError as error:
            sentence = "This user has no home folder. Set HOME to a folder that it may write to."
            raise SettingsError(sentence, "HOME") from error
        environment["HOME"] = str(home)
        if not environment.get("HF_HOME"):
            yield (
                f"This user has no home folder, so downloads go to {home}. Set HOME or HF_HOME to a "
                "folder on a large disk to keep the model there."
            )
    try:
        getpass.getuser()
    except (KeyError, OSError):
        environment["USER"] = "personaplex"


# The hub ---------------------------------------------------------------------------------------------


def settle_hub_variables(environment: MutableMapping[str, str]) -> Iterator[str]:
    """Remove empty variables, as compose files leave them, and unreadable numbers from ``environment``.
    Yields sentences for the log."""
    for name in [name for name, value in environment.items() if name.startswith("HF_") and not value.strip()]:
        del environment[name]  # the client would take it for a folder or an address
    for name in WHOLE_NUMBERS:
        value = environment.get(name)
        if value is not None and not re.fullmatch(r"\s*\+?0*[1-9][0-9]{0,8}\s*", value):
            del environment[name]
            yield f"{name} is {value[:40]!r}, but it must be a whole number above 0. It is ignored."


# Proxies ---------------------------------------------------------------------------------------------


def check_proxies(environment: MutableMapping[str, str]) -> None:
    """Gradio creates HTTP clients on import, which fails if they cannot use a proxy's address. So one client
    is created with each variable alone, as only httpx can tell what it accepts.

    Raises:
        SettingsError: the first variable that cannot be used, in a sentence.
    """
    given = {name: environment.pop(name) for name in PROXY_VARIABLES if environment.get(name)}
    try:
        for name, value in given.items():
            environment[name] = value
            usable = _makes_a_client()
            del environment[name]
            if not usable:
                raise SettingsError(
                    f"{name} is {shown(value)}, but it must be {PROXIES_ALLOWED[name.upper()]}. "
                    "Correct it or unset it, then start again.",
                    name,
                )
    finally:
        environment.update(given)


def _makes_a_client() -> bool:
    try:
        httpx.Client().close()
    except (ImportError, ValueError, httpx.InvalidURL):
        return False
    return True
