"""Fetches one file of a package index: with the index's own client, which knows how this machine reaches it,
or else over HTTP.

``pip download`` of a wheel and ``npm pack`` run nothing of the package. pip would run an sdist's setup.py, so
sdists always come over HTTP.
"""

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from personaplex_ui.speech.weights.checking import is_whole
from personaplex_ui.speech.weights.errors import SourceFailed
from personaplex_ui.speech.weights.index_client import (
    ClientAbsent,
    npm_command,
    npm_view_command,
    pip_command,
    pip_versions_command,
    run_client,
)
from personaplex_ui.speech.weights.index_http import (
    check_address,
    download,
    make_client,
    npm_address,
    pypi_address,
)
from personaplex_ui.speech.weights.manifest import Package

NAMES = {"pypi": "the package index", "npm": "the npm registry"}


@dataclass(frozen=True, slots=True)
class Registries:
    """``pypi``, ``npm``: addresses that are asked where pip or npm is missing; both clients otherwise ask
    where they are configured to. ``hub``: empty for the address that its client knows. ``python``: whose pip
    is run. ``npm_client``: a program."""

    pypi: str = "https://pypi.org/simple/"
    npm: str = "https://registry.npmjs.org/"
    hub: str = ""
    python: str = sys.executable
    npm_client: str = "npm"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """With the addresses that ``environment`` has for pip, uv and npm."""
        given = {name.upper(): value.strip() for name, value in environment.items() if value.strip()}
        pypi = next((given[name] for name in PYPI_VARIABLES if name in given), cls().pypi)
        return cls(pypi=pypi, npm=given.get("NPM_CONFIG_REGISTRY", cls().npm))


PYPI_VARIABLES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")


def fetch_package(
    package: Package, registries: Registries, scratch: Path, tell: Callable[[int], None]
) -> Path:
    """The file of ``package``, as the manifest describes it, in ``scratch``, a new folder. ``tell`` is called
    with the bytes that have arrived.

    Raises:
        SourceFailed: it cannot be had; the message is a clause about ``package``.
        OSError: the disk failed.
    """
    target = scratch / "download"
    target.mkdir()
    try:
        path = _fetch(package, registries, scratch, target, tell)
    except SourceFailed as error:
        raise SourceFailed(f"{error} ({package.name} {package.version})") from error
    if not is_whole(path, package):
        raise SourceFailed(f"{NAMES[package.index]} has another {package.file} than it should")
    return path


def find_package(package: Package, registries: Registries, scratch: Path) -> None:
    """Ask for ``package`` without fetching it: its index's client where there is one, as ``fetch_package``
    does. Up to 10 s.

    Raises:
        SourceFailed: its index does not have it, or cannot be reached.
        OSError: the disk failed.
    """
    if package.index == "npm":
        npm = shutil.which(registries.npm_client)
        command = npm_view_command(npm, f"{package.name}@{package.version}", scratch) if npm else None
    else:
        command = pip_versions_command(registries.python, package.name, scratch)
    if command is not None:
        try:
            run_client(command, NAMES[package.index], scratch, package.bytes, lambda arrived: None)
        except ClientAbsent:
            pass
        else:
            return
    with _client() as client:
        if package.index == "npm":
            check_address(client, npm_address(registries.npm, package), NAMES["npm"])
        else:
            pypi_address(client, registries.pypi, package)


def _fetch(
    package: Package, registries: Registries, scratch: Path, target: Path, tell: Callable[[int], None]
) -> Path:
    path = target / package.file
    command = _client_command(package, registries, scratch, target)
    if command is not None:
        try:
            run_client(command, NAMES[package.index], scratch, package.bytes, tell)
        except ClientAbsent:
            pass
        else:
            return path
    with _client() as client:
        if package.index == "npm":
            address = npm_address(registries.npm, package)
        else:
            address = pypi_address(client, registries.pypi, package)
        download(client, address, path, package, tell)
    return path


def _client() -> httpx.Client:
    try:
        return make_client()
    except (ValueError, ImportError, OSError) as error:  # a proxy's address, or a file of certificates
        raise SourceFailed("this machine's proxy or certificates cannot be used") from error


def _client_command(
    package: Package, registries: Registries, scratch: Path, target: Path
) -> list[str] | None:
    """None where only HTTP will do."""
    if package.index == "npm":
        npm = shutil.which(registries.npm_client)
        return npm_command(npm, f"{package.name}@{package.version}", scratch, target) if npm else None
    if package.file.endswith(".whl"):
        return pip_command(registries.python, f"{package.name}=={package.version}", scratch, target)
    return None
