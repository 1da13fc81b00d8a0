"""Own voices under the names that people give them: offered, or left out with a word."""

import logging
import re
import unicodedata
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode
from xml.etree import ElementTree

import pytest
from starlette.datastructures import QueryParams

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.channels.moshi.query import parse_query
from personaplex_ui.channels.twilio.call_tokens import persona_of
from personaplex_ui.channels.twilio.twiml import connect, join_parameters
from personaplex_ui.config.settings import Settings
from personaplex_ui.errors import InvalidInput
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.voice_recordings import speech

NAMES = [
    "Zoë",
    "हिन्दी",
    "Bob's",
    "Bob\u2019s",
    "Tom & Ann",
    "v2+",
    "José María (calm)",
    "Nguyễn Thị Ánh",
    "日本語の声",
    "가나다",
    "Аня, 2-я",
    "שָׁלוֹם",
    "می‌خواهم",
    "100% me #1 = @home!",
    "👩‍🚀 voice",
    "[draft] {a} ~ v1.2_final",
    "(calm) Zoë",
    'Who? "Me": *10:30* | -rf',
    "-rf",
    "x" * 64,
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "voices"
    folder.mkdir()
    return folder


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_offered_and_found_however_they_are_spelled(
    folder: Path, caplog: pytest.LogCaptureFixture, name: str, form: str
) -> None:
    path = folder / f"{unicodedata.normalize(form, name)}.wav"  # pyright: ignore[reportArgumentType]
    write_wav(path, speech(4))
    library = VoiceLibrary(folders=[folder])
    composed = unicodedata.normalize("NFC", name)
    assert library.names() == [composed]
    for asked in (name, unicodedata.normalize("NFD", name), f"{name}.pt", f" {name} "):
        assert library.check(asked) == composed
        assert library.path_of(asked) == path
    assert library.is_recording(composed)
    assert len(library.recording(composed)) > 0
    assert not warnings_of(caplog)


@pytest.mark.parametrize("name", NAMES)
def test_every_channel_takes_them(folder: Path, name: str) -> None:
    write_wav(folder / f"{name}.wav", speech(4))
    library = VoiceLibrary(folders=[folder])
    composed = library.names()[0]
    query = urlencode({"voice_prompt": f"{composed}.pt"})
    assert library.check(str(parse_query(QueryParams(query))["voice"])) == composed
    assert parse_qs(f"voice={quote(composed, safe='')}")["voice"] == [composed]
    xml = connect("wss://host/stream", {"voice_prompt": composed})
    parameters = {
        one.attrib["name"]: one.attrib["value"] for one in ElementTree.fromstring(xml).iter("Parameter")
    }
    arrived = join_parameters(parameters)
    assert library.check(arrived["voice_prompt"]) == composed
    assert persona_of(arrived)["voice_prompt"] == composed
    settings = Settings.from_mapping({"DEFAULT_VOICE_PROMPT": unicodedata.normalize("NFD", f"{name}.pt")})
    assert VoiceLibrary(folders=[folder], default=settings.default_voice_prompt).default == composed


LEFT_OUT = [
    (".hidden.wav", "hidden"),
    ("._Zoë.wav", "hidden"),
    ("...wav", "hidden"),
    ("\u3000..wav", "begins with a dot"),
    ("a\\b.wav", "U+005C"),
    ("a\nb.wav", "U+000A"),
    ("a\x1b[2Jb.pt", "U+001B"),
    ("a\u202egnp.wav", "U+202E"),
    ("a\u2066b.wav", "U+2066"),
    ("a\u200bb.wav", "U+200B"),
    ("a\u2028b.wav", "U+2028"),
    ("<b>.wav", "U+003C"),
    ("a\udce9b.wav", "U+DCE9"),
    ("x" * 65 + ".wav", "at most 64"),
    (" .wav", "empty"),
    ("Zoë.mp3", "must be .wav"),
    ("Zoë.M4A", "must be .wav"),
]


@pytest.mark.parametrize(("file_name", "why"), LEFT_OUT)
def test_what_is_left_out_is_told_once(
    folder: Path, caplog: pytest.LogCaptureFixture, file_name: str, why: str
) -> None:
    (folder / file_name).write_bytes(b"")
    library = VoiceLibrary(folders=[folder])
    for _ in range(3):
        assert library.names() == []
    (warning,) = warnings_of(caplog)
    assert why in warning
    assert warning.isprintable()
    for asked in (file_name, Path(file_name).stem, f"../{folder.name}/{file_name}"):
        with pytest.raises(InvalidInput):
            library.check(asked)
        with pytest.raises(InvalidInput):
            library.path_of(asked)


def test_each_file_has_its_own_warning_and_others_have_none(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("README.md", "catalogue.json", ".gitignore", "good.wav", "<a>.wav", "<b>.wav"):
        (folder / name).write_bytes(b"")
    (folder / "deep.wav").mkdir()
    library = VoiceLibrary(folders=[folder])
    assert library.names() == ["good"]
    assert library.names() == ["good"]
    assert len(warnings_of(caplog)) == 3
    assert any("deep.wav" in warning and "not a file" in warning for warning in warnings_of(caplog))


def test_two_spellings_of_one_name(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    composed, apart = (folder / f"{unicodedata.normalize(form, 'Zoë')}.wav" for form in ("NFC", "NFD"))
    for path in (composed, apart):
        path.write_bytes(b"")
    if len(list(folder.iterdir())) == 1:
        pytest.skip("this file system composes names itself")
    library = VoiceLibrary(folders=[folder])
    assert library.names() == ["Zoë"]
    assert library.path_of("Zoë") == apart  # the order of their code points, always the same
    (warning,) = warnings_of(caplog)
    assert "same name" in warning


@pytest.mark.parametrize(
    ("one", "other"), [("anna.pt", "anna.wav"), ("anna.pt", "anna.pt.wav"), ("anna.pt", " anna.pt")]
)
def test_the_pt_counts(folder: Path, caplog: pytest.LogCaptureFixture, one: str, other: str) -> None:
    for name in (one, other):
        (folder / name).write_bytes(b"")
    library = VoiceLibrary(folders=[folder])
    assert library.names() == ["anna"]
    assert library.path_of("anna").suffix == ".pt"
    assert len(warnings_of(caplog)) == 1


def test_a_space_that_cannot_be_typed_is_a_space(folder: Path) -> None:
    (folder / "Recording at 9.41\u202fAM.wav").write_bytes(b"")
    assert VoiceLibrary(folders=[folder]).check("Recording at 9.41 AM") == "Recording at 9.41 AM"


@pytest.mark.parametrize("asked", ["\ud800", "a\0b", "\u202eevil", "x\n" * 50, "<script>"])
def test_what_is_asked_for_is_repeated_only_as_far_as_it_can_be_shown(folder: Path, asked: str) -> None:
    with pytest.raises(InvalidInput, match="There is no voice") as refused:
        VoiceLibrary(folders=[folder]).check(asked)
    assert str(refused.value).isprintable()
    assert str(refused.value).encode()


def test_the_rule_is_written_down() -> None:
    rule = (Path(__file__).parents[2] / "voices" / "README.md").read_text(encoding="utf-8")
    assert re.search(r"64 characters", rule)
    assert "`/ \\ < >`" in rule
