"""Weights that tests make, and where they are: a hub, a package index and an npm registry on loopback."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import constants

from personaplex_ui.speech.weights.manifest import HubSource, Manifest, PackageSource, Part, WeightFile
from personaplex_ui.speech.weights.registries import Registries
from personaplex_ui.speech.weights.store import WeightStore
from tests.support.hub_stub import HubStub
from tests.support.hub_stub import serving as serving_hub
from tests.support.package_index import PackageIndex, package, serving_packages, tarball, wheel

NOWHERE = "http://127.0.0.1:9"
MODEL, WORDS, VOICE = b"m" * 2_000_000, b"words", b"voice"
REPO, COMMIT = "owner/tiny", "0" * 40


@dataclass
class Places:
    """Where weights are, and what was told while they were fetched.

    ``model/model.bin`` is on the hub, and in two wheels that are joined; ``model/words.txt`` on the hub and
    in the first wheel; ``voice.bin`` is in a tarball of npm's; ``sdist.bin`` is in an sdist.
    """

    hub: HubStub
    index: PackageIndex
    folder: Path
    told: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    manifest: Manifest = field(init=False)

    def __post_init__(self) -> None:
        first = wheel("tiny-1", "1.0", {"tiny_1/part.bin": MODEL[:1_200_000], "tiny_1/words.txt": WORDS})
        second = wheel("tiny-2", "1.0", {"tiny_2/part.bin": MODEL[1_200_000:]})
        npm = (
            "tiny-voice-2.0.0.tgz",
            tarball({"package/package.json": PACKAGE_JSON, "package/v.bin": VOICE}),
        )
        sdist = (
            "tiny_source-1.0.tar.gz",
            tarball({"tiny_source-1.0/setup.py": SETUP, "tiny_source-1.0/s": b"s"}),
        )
        self.index.files.update(dict([first, second, npm, sdist]))
        packages = {
            "tiny-1": package("pypi", "tiny-1", "1.0", *first),
            "tiny-2": package("pypi", "tiny-2", "1.0", *second),
            "tiny-voice": package("npm", "tiny-voice", "2.0.0", *npm),
            "tiny-source": package("pypi", "tiny-source", "1.0", *sdist),
        }
        self.hub.files.update({"model.bin": MODEL, "words.txt": WORDS})
        files = [
            weight(
                "model/model.bin",
                MODEL,
                "model.bin",
                ("tiny-1", "tiny_1/part.bin"),
                ("tiny-2", "tiny_2/part.bin"),
            ),
            weight("model/words.txt", WORDS, "words.txt", ("tiny-1", "tiny_1/words.txt")),
            weight("voice.bin", VOICE, "", ("tiny-voice", "package/v.bin")),
            weight("sdist.bin", b"s", "", ("tiny-source", "tiny_source-1.0/s")),
        ]
        self.manifest = Manifest(packages=packages, files=files)

    def store(
        self, registries: Registries | None = None, patience_sec: float = 60.0, called: str = ""
    ) -> WeightStore:
        """Over HTTP alone, unless ``registries`` says otherwise."""
        return WeightStore(
            self.folder, self.report, self.manifest, registries or self.http(), patience_sec, called
        )

    def http(self, hub: str = "") -> Registries:
        """Without pip and npm."""
        url = self.index.url
        absent = str(self.folder / "absent")
        return Registries(f"{url}/simple/", url, hub or self.hub.url, python=absent, npm_client=absent)

    def without_hub(self) -> WeightStore:
        return self.store(self.http(hub=NOWHERE))

    def report(self, sentence: str, fraction: float) -> None:
        self.told.append((sentence, fraction))


SETUP = b"raise AssertionError('run')"
PACKAGE_JSON = b'{"name": "tiny-voice", "version": "2.0.0"}'


def weight(name: str, content: bytes, on_hub: str, *parts: tuple[str, str]) -> WeightFile:
    hub = [HubSource(kind="hub", repo=REPO, revision=COMMIT, path=on_hub)] if on_hub else []
    joined = PackageSource(kind="packages", parts=[Part(package=key, member=member) for key, member in parts])
    return WeightFile(
        name=name,
        licence="MIT",
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        sources=[*hub, joined],
    )


@contextmanager
def weight_places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Places]:
    """All of them served; the weights' own folder is below ``folder``."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with (
        serving_hub(HubStub(REPO, {}, commit=COMMIT)) as hub,
        serving_packages(PackageIndex()) as index,
    ):
        yield Places(hub, index, folder / "weights")
