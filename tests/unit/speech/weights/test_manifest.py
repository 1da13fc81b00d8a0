"""What a manifest may say, and that ours says it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from personaplex_ui.speech.weights.manifest import MAX_MANIFEST_BYTES, HubSource, read_manifest

Json = dict[str, Any]
SHA256 = "0" * 64


def entry(name: str) -> Json:
    hub = {"kind": "hub", "repo": "owner/name", "revision": "0" * 40, "path": "a.bin"}
    parts = {"kind": "packages", "parts": [{"package": "tiny", "member": "tiny/a.bin"}]}
    return {"name": name, "licence": "MIT", "bytes": 3, "sha256": SHA256, "sources": [hub, parts]}


def manifest() -> Json:
    package = {
        "index": "pypi",
        "name": "tiny",
        "version": "1.0",
        "file": "tiny-1.0-py3-none-any.whl",
        "bytes": 3,
        "sha256": SHA256,
    }
    return {"packages": {"tiny": package}, "files": [entry("model/a.bin"), entry("model/b.bin")]}


def written(folder: Path, value: object) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_ours_names_whisper_and_two_places_to_have_it_from() -> None:
    ours = read_manifest()
    files = ours.below("whisper-tiny.en")
    assert {file.name.rpartition("/")[2] for file in files} == {
        "config.json",
        "model.bin",
        "tokenizer.json",
        "vocabulary.txt",
    }
    assert all(len(file.sources) == 2 for file in files)
    assert all(isinstance(file.sources[0], HubSource) for file in files)


def test_files_are_found_by_name_and_by_folder(tmp_path: Path) -> None:
    read = read_manifest(written(tmp_path, manifest()))
    assert [file.name for file in read.below("model")] == ["model/a.bin", "model/b.bin"]
    assert [file.name for file in read.below("model/b.bin")] == ["model/b.bin"]
    assert read.below("mod") == []
    assert read.below("") == []


def change(path: str, value: object) -> Callable[[Json], None]:
    """Sets what is at ``path``, as in ``files.0.bytes``."""

    def apply(read: Json) -> None:
        *steps, last = path.split(".")
        place: Any = read
        for step in steps:
            place = place[int(step)] if step.isdigit() else place[step]
        place[int(last) if last.isdigit() else last] = value

    return apply


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("files.0.name", "../a.bin"),
        ("files.0.name", "/a.bin"),
        ("files.0.name", "model//a.bin"),
        ("files.0.name", "model/.hidden"),
        ("files.0.name", "model\\a.bin"),
        ("files.0.name", "model/b.bin"),  # twice
        ("files.0.name", "model"),  # a file and a folder
        ("files.0.bytes", "3"),
        ("files.0.bytes", 0),
        ("files.0.bytes", 3_000_000_000),
        ("files.0.sha256", "0" * 63),
        ("files.0.sha256", "G" * 64),
        ("files.0.licence", ""),
        ("files.0.sources", []),
        ("files.0.sources.0.revision", "main"),
        ("files.0.sources.0.repo", "name"),
        ("files.0.sources.0.path", "../secret"),
        ("files.0.sources.1.parts", []),
        ("files.0.sources.1.parts.0.package", "absent"),
        ("files.0.sources.1.kind", "ftp"),
        ("files.0.unknown", 1),
        ("packages.tiny.index", "conda"),
        ("packages.tiny.name", "--pre"),
        ("packages.tiny.version", "latest"),
        ("packages.tiny.file", "../tiny.whl"),
        ("packages.tiny.file", "tiny.exe"),
        ("packages.tiny.bytes", True),
    ],
)
def test_what_is_wrong_is_refused(tmp_path: Path, path: str, value: object) -> None:
    read = manifest()
    change(path, value)(read)
    with pytest.raises(ValueError, match=r"manifest\.json"):
        read_manifest(written(tmp_path, read))


def test_nonsense_and_too_much_are_refused(tmp_path: Path) -> None:
    values: list[object] = [["files"], "", None]
    for value in values:
        with pytest.raises(ValueError, match=r"manifest\.json"):
            read_manifest(written(tmp_path, value))
    (tmp_path / "manifest.json").write_bytes(b" " * (MAX_MANIFEST_BYTES + 1))
    with pytest.raises(ValueError, match="too long"):
        read_manifest(tmp_path / "manifest.json")
