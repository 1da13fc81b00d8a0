"""The library: which voices there are, by name, and the recordings users gave."""

import struct
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.audio.frames import FRAME_SAMPLES
from personaplex_ui.errors import InvalidInput
from personaplex_ui.voices import library as library_module
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.voices.recording import read_voice_recording
from tests.support.clock import Clock
from tests.support.voice_recordings import RECORDING, speech

CATALOGUE = (Voice("NATF2", "Natural female", "Natural female 2"), Voice("NATF0", "Natural female", "First"))


@pytest.fixture
def presets(tmp_path: Path) -> Path:
    """A folder as the archive of a checkpoint is unpacked into."""
    folder = tmp_path / "presets"
    folder.mkdir()
    for name in ("NATF0.pt", "NATM1.pt"):
        (folder / name).write_bytes(b"preset")
    return folder


def test_names_of_all_folders_and_the_first_one_counts(presets: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    others = (".hidden.pt", "notes.txt", "catalogue.json")
    for name in ("NATF0.pt", "Zoë (calm).wav", "anna.wav", "anna.pt", *others):
        (own / name).write_bytes(b"")
    (own / "folder.pt").mkdir()
    library = VoiceLibrary(folders=[own, tmp_path / "missing", presets])
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
    library = VoiceLibrary(folders=[presets])
    for ask in (library.path_of, library.is_recording, library.recording, library.check):
        with pytest.raises(InvalidInput, match=r"There is no (such )?voice") as caught:
            ask(name)
        assert caught.value.field == "voice"
    with pytest.raises(InvalidInput, match=r"There is no voice NATF9\. Choose another one\."):
        library.path_of("NATF9.pt")


def test_presets_and_recordings_are_told_apart(presets: Path, tmp_path: Path) -> None:
    write_wav(tmp_path / "anna.wav", speech(4))
    write_wav(tmp_path / "short.wav", speech(1))
    library = VoiceLibrary(folders=[tmp_path, presets])
    assert not library.is_recording("NATF0")
    assert library.is_recording("anna")
    assert len(library.recording("anna")) == 50 * FRAME_SAMPLES
    with pytest.raises(InvalidInput, match=r"this recording has 1\.0") as caught:
        library.recording("short")
    assert caught.value.field == "voice"


def test_an_upload_is_kept_until_it_is_forgotten() -> None:
    library = VoiceLibrary()
    name = library.keep_upload(RECORDING)
    assert library.names() == []
    assert library.check(name) == name
    assert library.is_recording(name)
    assert library.is_upload(name)
    assert not library.is_lost_upload(name)
    assert np.array_equal(library.recording(name), read_voice_recording(RECORDING))
    assert library.keep_upload(RECORDING) != name
    library.forget_upload(name)
    library.forget_upload(name)
    with pytest.raises(InvalidInput, match="Choose another"):
        library.recording(name)
    with pytest.raises(InvalidInput, match=r"Your own voice is no longer stored\. Please give it again"):
        library.check(name)
    assert library.is_lost_upload(name)
    assert not library.is_lost_upload("NATF0")


def test_the_oldest_upload_goes_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_module, "MOST_UPLOADS", 2)
    library = VoiceLibrary()
    first, second = library.keep_upload(RECORDING), library.keep_upload(RECORDING)
    library.recording(first)  # used, so the other one is the oldest
    library.keep_upload(RECORDING)
    library.recording(first)
    with pytest.raises(InvalidInput):
        library.recording(second)


def test_an_upload_nobody_used_for_an_hour_is_forgotten() -> None:
    clock = Clock(0.0)
    library = VoiceLibrary(clock=clock)
    used, unused = library.keep_upload(RECORDING), library.keep_upload(RECORDING)
    clock.now = 3_000.0
    library.recording(used)
    clock.now = 3_700.0
    assert library.is_upload(used)
    assert library.is_lost_upload(unused)


def test_an_upload_that_cannot_be_used_is_not_kept(tmp_path: Path) -> None:
    upload = tmp_path / "upload.wav"
    write_wav(upload, speech(1))
    with pytest.raises(InvalidInput, match="Record more") as caught:
        VoiceLibrary().keep_upload(upload)
    assert caught.value.field == "voice_file"
    write_wav(upload, speech(40))
    content = bytearray(upload.read_bytes())
    content[40:44] = struct.pack("<I", 2**31)  # it claims to be huge
    upload.write_bytes(content)
    with pytest.raises(InvalidInput):
        VoiceLibrary().keep_upload(upload)


def test_without_a_model_every_voice_of_the_catalogue_is_offered_and_with_one_those_it_has(
    presets: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    library = VoiceLibrary(CATALOGUE, [own])
    assert library.names() == ["NATF2", "NATF0"]
    copyfile(RECORDING, own / "anna.wav")
    assert library.offered() == [*CATALOGUE, Voice("anna", "Dropped in", "anna")]
    library.offer_files_only(presets)
    library.offer_files_only(presets)
    assert library.offered() == [
        CATALOGUE[1],
        Voice("NATM1", "Dropped in", "NATM1"),
        Voice("anna", "Dropped in", "anna"),
    ]
    with pytest.raises(InvalidInput, match="There is no voice “NATF2”"):
        library.check("NATF2")
    library = VoiceLibrary(CATALOGUE)
    library.offer_files_only(None)
    assert library.names() == []


@pytest.mark.parametrize("value", [None, 7, ["NATF2"], "", "natf2"])
def test_a_voice_is_known_with_and_without_its_suffix_and_nothing_else_is(value: object) -> None:
    library = VoiceLibrary(CATALOGUE)
    assert {library.check(name) for name in ("NATF2", "NATF2.pt", " NATF2 ")} == {"NATF2"}
    with pytest.raises(InvalidInput, match="Please choose one from the list"):
        library.check(value)


def test_the_owner_of_the_machine_may_name_any_file(tmp_path: Path) -> None:
    path = tmp_path / "my voice!.wav"
    copyfile(RECORDING, path)
    library = VoiceLibrary(CATALOGUE)
    name = library.add_file(path)
    assert library.path_of(name) == path
    assert library.is_recording(name)
    for wrong, told in ((tmp_path / "no.pt", "There is no file"), (tmp_path, r"must end in \.pt or \.wav")):
        with pytest.raises(InvalidInput, match=told):
            library.add_file(wrong)
