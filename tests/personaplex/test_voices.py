"""Voices: the archive of presets, presets, recordings, and the library that finds them by name."""

import gzip
import io
import pickle
import random
import struct
import tarfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import pytest
import soundfile
import torch

from personaplex_ui.audio.clip_file import write_wav
from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples
from personaplex_ui.errors import InvalidInput
from personaplex_ui.personaplex import voice_archive, voices
from personaplex_ui.personaplex.checkpoint_files import CheckpointUnusable
from personaplex_ui.personaplex.voice_archive import unpack_voices
from personaplex_ui.personaplex.voice_recording import (
    check_voice_recording,
    prepare_recording,
    read_voice_recording,
)
from personaplex_ui.personaplex.voices import VoiceLibrary, load_preset

DATA = Path(__file__).parent.parent / "data"
RECORDING = DATA / "cases/custom_voice_no_prompt/voice.wav"
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


@pytest.mark.parametrize("content", [b"", b"no archive", gzip.compress(b"no tar" * 200), None])
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
    monkeypatch.setattr(voices, "MAX_FILE_BYTES", 100)
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


# Recordings


def speech(sec: float, level: float = 0.1) -> Samples:
    """Noise that swells and fades five times a second, as syllables do."""
    time = np.arange(int(sec * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    noise = np.random.default_rng(1).uniform(-1.0, 1.0, len(time))
    return (level * noise * (0.6 + 0.4 * np.sin(2 * np.pi * 5 * time))).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (speech(2.9), "needs 3 to 30 seconds of speech; this recording has 2.9. Record more"),
        (speech(30.1), "this recording has 30.1. Cut it shorter"),
        (np.zeros(0, dtype=np.float32), "this recording has 0.0. Record more"),
        (np.zeros(96_000, dtype=np.float32), "is too quiet: -100 dB where it is loudest"),
        (speech(5, 0.003), "is too quiet: "),
        (np.clip(speech(5, 3.0), -1.0, 1.0), "is clipped: it is distorted where it is loudest"),
        (np.concatenate([speech(2), np.zeros(96_000, np.float32)]), "is mostly silence: 67% of it"),
    ],
)
def test_a_recording_that_cannot_be_used(samples: Samples, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_voice_recording(samples)
    assert caught.value.field == "voice_file"
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "samples",
    [
        speech(3),
        speech(30),
        speech(5, 0.02),
        np.concatenate([speech(3), np.zeros(48_000, np.float32)]),
        np.where(np.arange(120_000) % 2_000 == 0, 1.0, speech(5)).astype(
            np.float32
        ),  # clicks are no clipping
    ],
)
def test_a_recording_that_can_be_used(samples: Samples) -> None:
    check_voice_recording(samples)


def test_a_recording_is_prepared_as_the_reference_does() -> None:
    sound, rate = soundfile.read(RECORDING)
    loudness = pyloudnorm.Meter(rate).integrated_loudness(sound)
    expected = pyloudnorm.normalize.loudness(sound, loudness, -24.0)
    prepared = read_voice_recording(RECORDING)
    assert prepared.dtype == np.float32
    assert len(prepared) == -(-len(sound) // FRAME_SAMPLES) * FRAME_SAMPLES
    assert np.array_equal(prepared[: len(sound)], expected.astype(np.float32))
    assert not prepared[len(sound) :].any()


def test_a_quiet_recording_is_made_louder_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepared = prepare_recording(speech(4, 0.02))
    assert pyloudnorm.Meter(SAMPLE_RATE_HZ).integrated_loudness(prepared.astype(float)) == pytest.approx(
        -24, abs=0.3
    )


def test_a_file_that_is_no_sound(tmp_path: Path) -> None:
    (tmp_path / "voice.wav").write_bytes(b"no sound")
    with pytest.raises(InvalidInput, match="cannot be read as audio") as caught:
        read_voice_recording(tmp_path / "voice.wav")
    assert caught.value.field == "voice_file"


# The library


def test_names_of_all_folders_and_the_first_one_counts(presets: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for name in (
        "NATF0.pt",
        "Zoë (calm).wav",
        "anna.wav",
        "anna.pt",
        ".hidden.pt",
        "notes.txt",
        "catalogue.json",
    ):
        (own / name).write_bytes(b"")
    (own / "folder.pt").mkdir()
    library = VoiceLibrary([own, tmp_path / "missing", presets])
    assert library.names() == ["NATF0", "NATM1", "Zoë (calm)", "anna"]
    assert library.path_of("NATF0") == own / "NATF0.pt"
    assert library.path_of("NATM1.pt") == presets / "NATM1.pt"
    assert library.path_of("anna") == own / "anna.pt"
    assert library.path_of("Zoë (calm).wav") == own / "Zoë (calm).wav"
    (own / "NATF0.pt").unlink()
    assert library.path_of("NATF0") == presets / "NATF0.pt"


@pytest.mark.parametrize(
    "name", ["", "..", "../own/anna", "/etc/passwd", "NATF0/../NATF0", "a\0b", "%2e%2e", "x" * 999]
)
def test_a_name_never_becomes_a_path(presets: Path, name: str) -> None:
    library = VoiceLibrary([presets])

    def preset(name: str) -> object:
        return library.preset(name, DIM)

    for ask in (library.path_of, preset, library.recording):
        with pytest.raises(InvalidInput, match=r"There is no such voice\. Choose another one\.") as caught:
            ask(name)
        assert caught.value.field == "voice"


def test_an_unknown_voice_is_named(presets: Path) -> None:
    with pytest.raises(InvalidInput, match=r"There is no voice NATF9\. Choose another one\."):
        VoiceLibrary([presets]).path_of("NATF9.pt")


def test_presets_and_recordings_are_told_apart(presets: Path, tmp_path: Path) -> None:
    write_wav(tmp_path / "anna.wav", speech(4))
    write_wav(tmp_path / "short.wav", speech(1))
    library = VoiceLibrary([tmp_path, presets])
    preset = library.preset("NATF0", DIM)
    assert preset is not None
    assert preset[0].positions == 56
    assert library.preset("anna", DIM) is None
    assert len(library.recording("anna")) == 50 * FRAME_SAMPLES
    with pytest.raises(InvalidInput, match=r"this recording has 1\.0") as caught:
        library.recording("short")
    assert caught.value.field == "voice"


def test_an_upload_is_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    library = VoiceLibrary([tmp_path])
    name = library.keep_upload(RECORDING)
    assert library.names() == []
    assert library.preset(name, DIM) is None
    assert np.array_equal(library.recording(name), read_voice_recording(RECORDING))
    assert library.keep_upload(RECORDING) != name
    library.forget_upload(name)
    library.forget_upload(name)
    with pytest.raises(InvalidInput, match="Choose another"):
        library.recording(name)


def test_the_oldest_upload_goes_when_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "MOST_UPLOADS", 2)
    library = VoiceLibrary([tmp_path])
    first, second = library.keep_upload(RECORDING), library.keep_upload(RECORDING)
    library.recording(first)  # used, so the other one is the oldest
    library.keep_upload(RECORDING)
    library.recording(first)
    with pytest.raises(InvalidInput):
        library.recording(second)


def test_an_upload_that_cannot_be_used_is_not_kept(tmp_path: Path) -> None:
    write_wav(tmp_path / "upload.wav", speech(1))
    with pytest.raises(InvalidInput, match="Record more") as caught:
        VoiceLibrary([]).keep_upload(tmp_path / "upload.wav")
    assert caught.value.field == "voice_file"


def test_a_wav_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "upload.wav", speech(40))
    content = bytearray((tmp_path / "upload.wav").read_bytes())
    content[40:44] = struct.pack("<I", 2**31)
    (tmp_path / "upload.wav").write_bytes(content)
    with pytest.raises(InvalidInput):
        VoiceLibrary([]).keep_upload(tmp_path / "upload.wav")
