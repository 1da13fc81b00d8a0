"""Preset voices: the archive they come in, and what is in each."""

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from personaplex_ui.errors import InvalidInput
from personaplex_ui.models.personaplex.loading import preset_voices
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable
from personaplex_ui.models.personaplex.loading.preset_voices import load_preset, unpack_voices
from personaplex_ui.tar import Limits

DATA = Path(__file__).parents[3] / "data"
DIM = 32


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked") / "voices"
    unpack_voices(DATA / "tiny/voices.tgz", folder)
    return folder / "NATF0.pt"


# The archive. What else may be wrong with one: tests/field/test_c09_tar_on_debian_12.py


def archive(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_an_archive_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "voices.tgz", **{f"voices/{n}.pt": bytes(1000) for n in range(5)})
    for limits, told in (
        (Limits(4, 1_000, 5_000), "holds more than 4 files"),
        (
            Limits(5, 999, 5_000),
            r"holds too much: 'voices/0\.pt' has 1,000 bytes, so its voices",
        ),
        (Limits(5, 1_000, 4_999), "holds too much"),
    ):
        monkeypatch.setattr(preset_voices, "LIMITS", limits)
        with pytest.raises(CheckpointUnusable, match=told):
            unpack_voices(path, tmp_path / "unpacked")
        assert list(tmp_path.iterdir()) == [path]


def test_only_voices_are_taken(tmp_path: Path) -> None:
    files = {"voices/._NATF0.pt": b"a Mac's", "README.md": b"read", "voices/evil.sh": b"run"}
    path = archive(tmp_path / "voices.tgz", **files, **{"deep/down/Own voice.wav": b"sound"})
    unpack_voices(path, tmp_path / "unpacked")
    assert [file.name for file in (tmp_path / "unpacked").iterdir()] == ["Own voice.wav"]


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = tmp_path / "voices.tgz"
    path.write_bytes((DATA / "tiny/voices.tgz").read_bytes()[:9_000])
    with pytest.raises(CheckpointUnusable, match=r"voices\.tgz is damaged .* Remove .* and restart"):
        unpack_voices(path, tmp_path / "unpacked")
    assert list(tmp_path.iterdir()) == [path]


def test_an_archive_with_no_place_to_go(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointUnusable, match="cannot be unpacked into"):
        unpack_voices(DATA / "tiny/voices.tgz", tmp_path / "file" / "voices")


# Presets. Files that are none: tests/field/test_d11_voices_without_torch_load.py


def test_a_preset_is_read(preset: Path) -> None:
    voice, embeddings = load_preset(preset, DIM)
    saved: Any = torch.load(preset, weights_only=True)
    assert voice.positions == 56
    assert np.array_equal(voice.ring, saved["cache"][0].numpy())
    assert voice.ring.shape == (17, 4)
    assert embeddings.shape == (56, 1, 1, DIM)
    assert torch.equal(embeddings, saved["embeddings"])


def good() -> dict[str, Any]:
    return {"embeddings": torch.ones(5, 1, 1, DIM), "cache": torch.full((1, 17, 4), 3)}


def refusal_of(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_preset(path, DIM)
    assert caught.value.field == "voice"
    return str(caught.value)


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


def test_only_the_tokens_that_are_needed_must_exist(tmp_path: Path) -> None:
    content = good()
    content["cache"][0, :, 3] = -2  # of 5 positions: 5 % 4 and 6 % 4 are needed
    content["cache"][0, 0, 2] = -2  # the text of position 6 is the prompt's
    torch.save(content, tmp_path / "x.pt")
    assert load_preset(tmp_path / "x.pt", DIM)[0].positions == 5


def test_a_file_that_is_too_large_missing_or_of_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save([1], tmp_path / "x.pt")
    assert "it does not hold embeddings and cache" in refusal_of(tmp_path / "x.pt")
    monkeypatch.setattr(preset_voices, "LIMITS", Limits(1, 100, 100))
    assert "it is too large" in refusal_of(tmp_path / "x.pt")
    assert "cannot be read" in refusal_of(tmp_path / "y.pt")
