"""Preset voices: the archive they come in, and what is in each."""

import gzip
import io
import pickle
import random
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from personaplex_ui.errors import InvalidInput
from personaplex_ui.models.personaplex.loading import voice_archive, voice_preset
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable
from personaplex_ui.models.personaplex.loading.voice_archive import unpack_voices
from personaplex_ui.models.personaplex.loading.voice_preset import load_preset

DATA = Path(__file__).parents[3] / "data"
DIM = 32


@pytest.fixture(scope="module")
def presets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_voices(DATA / "tiny/voices.tgz", tmp_path_factory.mktemp("unpacked"))


# The archive


def test_the_archive_is_unpacked_once(tmp_path: Path) -> None:
    folder = unpack_voices(DATA / "tiny/voices.tgz", tmp_path / "new")
    assert sorted(path.name for path in folder.iterdir()) == ["NATF0.pt", "NATM1.pt"]
    (folder / "NATM1.pt").unlink()  # is not restored: a folder that is there is taken as it is
    assert unpack_voices(DATA / "tiny/voices.tgz", tmp_path / "new") == folder
    assert [path.name for path in folder.iterdir()] == ["NATF0.pt"]
    assert list((tmp_path / "new").iterdir()) == [folder]


def archive(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (("/etc/cron.d/x.pt", b"x"), "which leads out of its folder"),
        (("../x.pt", b"x"), "which leads out of its folder"),
        (("voices/../../x.pt", b"x"), "which leads out of its folder"),
        (("voices\\..\\x.pt", b"x"), "which leads out of its folder"),
        (member("../", tarfile.DIRTYPE), "which leads out of its folder"),
        (member("voices/x.pt", tarfile.SYMTYPE, "/etc/passwd"), "which is a link or a device"),
        (member("voices/x.pt", tarfile.SYMTYPE, "NATF0.pt"), "which is a link or a device"),
        (member("voices/x.pt", tarfile.LNKTYPE, "../../etc/passwd"), "which is a link or a device"),
        (member("voices/x.pt", tarfile.CHRTYPE), "which is a link or a device"),
        (member("voices/x.pt", tarfile.FIFOTYPE), "which is a link or a device"),
    ],
)
def test_an_archive_that_is_up_to_no_good(
    tmp_path: Path, bad: tarfile.TarInfo | tuple[str, bytes], told: str
) -> None:
    path = archive(tmp_path / "voices.tgz", ("voices/NATF0.pt", b"good"), bad)
    folder = tmp_path / "unpacked"
    with pytest.raises(CheckpointUnusable, match=told):
        unpack_voices(path, folder)
    assert list(folder.iterdir()) == []
    assert sorted(tmp_path.iterdir()) == sorted([folder, path])


def test_an_archive_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "voices.tgz", *((f"voices/{n}.pt", bytes(1000)) for n in range(5)))
    for limit, value, told in (
        ("MAX_MEMBERS", 4, "holds more than 4 files"),
        ("MAX_FILE_BYTES", 999, "holds too much"),
        ("MAX_TOTAL_BYTES", 4_999, "holds too much"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(voice_archive, limit, value)
            with pytest.raises(CheckpointUnusable, match=told):
                unpack_voices(path, tmp_path / "unpacked")


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    info = tarfile.TarInfo("voices/x.pt")
    info.size = 10**13
    path = tmp_path / "voices.tgz"
    with gzip.open(path, "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(CheckpointUnusable, match=r"holds too much: 'voices/x\.pt' has 10,000\.0 GB"):
        unpack_voices(path, tmp_path / "unpacked")


def test_only_voices_are_taken(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "voices.tgz",
        member("voices", tarfile.DIRTYPE),
        ("voices/._NATF0.pt", b"a Mac's"),
        ("voices/README.md", b"read"),
        ("voices/evil.sh", b"run"),
        ("deep/down/Own voice.wav", b"sound"),
    )
    assert [file.name for file in unpack_voices(path, tmp_path / "unpacked").iterdir()] == ["Own voice.wav"]


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"no tar" * 200, mtime=0), None],
    ids=["empty", "text", "no tar", "cut short"],
)
def test_a_damaged_archive(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "voices.tgz"
    path.write_bytes((DATA / "tiny/voices.tgz").read_bytes()[:9_000] if content is None else content)
    with pytest.raises(
        CheckpointUnusable, match=r"voices\.tgz is damaged .* Remove .* and start the app again"
    ):
        unpack_voices(path, tmp_path / "unpacked")
    assert list((tmp_path / "unpacked").iterdir()) == []


def test_an_archive_with_no_place_to_go(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointUnusable, match="cannot be unpacked into"):
        unpack_voices(DATA / "tiny/voices.tgz", tmp_path / "file")


# Presets


def test_a_preset_is_read(presets: Path) -> None:
    voice, embeddings = load_preset(presets / "NATF0.pt", DIM)
    saved: Any = torch.load(presets / "NATF0.pt", weights_only=True)
    assert voice.positions == 56
    assert np.array_equal(voice.ring, saved["cache"][0].numpy())
    assert voice.ring.shape == (17, 4)
    assert embeddings.shape == (56, 1, 1, DIM)
    assert torch.equal(embeddings, saved["embeddings"])


def good() -> dict[str, Any]:
    return {"embeddings": torch.ones(5, 1, 1, DIM), "cache": torch.full((1, 17, 4), 3)}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"embeddings": torch.ones(5, 1, 1, 64)}, "was made for a model of width 64, and this one has 32"),
        ({"embeddings": torch.ones(5, 1, DIM)}, "its embeddings are 5 x 1 x 32 of float32"),
        ({"embeddings": torch.ones(5, 2, 1, DIM)}, "its embeddings are 5 x 2 x 1 x 32 of float32"),
        ({"embeddings": torch.ones(5, 1, 1, DIM, dtype=torch.int64)}, "of int64"),
        ({"embeddings": torch.ones(0, 1, 1, DIM)}, "it has 0 positions"),
        ({"embeddings": torch.ones(1001, 1, 1, DIM)}, "it has 1,001 positions, and 1 to 1,000 can be used"),
        ({"embeddings": torch.full((5, 1, 1, DIM), float("nan"))}, "numbers that make no sense"),
        ({"cache": torch.zeros(1, 17, 5, dtype=torch.int64)}, "its cache is 1 x 17 x 5 of int64"),
        ({"cache": torch.zeros(1, 17, 4)}, "its cache is 1 x 17 x 4 of float32"),
        ({"cache": torch.full((1, 17, 4), 2049)}, "numbers that make no sense"),
        ({"cache": torch.full((1, 17, 4), -2)}, "numbers that make no sense"),
        ({"cache": [1, 2]}, "it does not hold embeddings and cache"),
        ({"embeddings": None}, "it does not hold embeddings and cache"),
    ],
)
def test_a_preset_of_another_shape(tmp_path: Path, change: dict[str, object], told: str) -> None:
    torch.save({**good(), **change}, tmp_path / "x.pt")
    assert told in refusal_of(tmp_path / "x.pt")


def refusal_of(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_preset(path, DIM)
    assert caught.value.field == "voice"
    return str(caught.value)


def test_only_the_tokens_that_are_needed_must_exist(tmp_path: Path) -> None:
    content = good()
    content["cache"][0, :, 3] = -2  # of 5 positions: 5 % 4 and 6 % 4 are needed
    content["cache"][0, 0, 2] = -2  # the text of position 6 is the prompt's
    torch.save(content, tmp_path / "x.pt")
    assert load_preset(tmp_path / "x.pt", DIM)[0].positions == 5


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('the pickle was run')",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        pickle.dumps({"embeddings": 1}, 2),
        pickle.dumps(Evil(), 2),
        b"PK\x03\x04" + bytes(50),
    ],
)
def test_a_file_that_is_no_preset(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    assert "is no voice of PersonaPlex" in refusal_of(tmp_path / "x.pt")


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    torch.save({**good(), "cache": Evil()}, tmp_path / "x.pt")
    assert "it is damaged, or something else altogether" in refusal_of(tmp_path / "x.pt")
    torch.save([1], tmp_path / "x.pt")
    assert "it does not hold embeddings and cache" in refusal_of(tmp_path / "x.pt")


def test_a_preset_that_is_too_large_or_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(good(), tmp_path / "x.pt")
    monkeypatch.setattr(voice_preset, "MAX_FILE_BYTES", 100)
    assert "it is too large" in refusal_of(tmp_path / "x.pt")
    assert "cannot be read" in refusal_of(tmp_path / "y.pt")


def test_whatever_is_damaged_is_loaded_or_refused(presets: Path, tmp_path: Path) -> None:
    content = (presets / "NATF0.pt").read_bytes()
    chance = random.Random(1)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content[: chance.choice([len(content), chance.randrange(len(content))])])
        for _ in range(chance.randrange(20)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        (tmp_path / "x.pt").write_bytes(damaged)
        try:
            load_preset(tmp_path / "x.pt", DIM)
        except InvalidInput:
            refused += 1
    assert refused > 100
