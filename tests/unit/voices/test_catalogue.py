"""The catalogue of voices, and the names by which they are known."""

from pathlib import Path

import pytest

from personaplex_ui.voices.catalogue import CATALOGUE_PATH, Voice, load_catalogue
from personaplex_ui.voices.names import canonical_voice_name


def test_the_catalogue_lists_the_18_voices_of_the_model() -> None:
    voices = load_catalogue(CATALOGUE_PATH)
    assert [voice.name for voice in voices] == [
        *(f"NATF{i}" for i in range(4)),
        *(f"NATM{i}" for i in range(4)),
        *(f"VARF{i}" for i in range(5)),
        *(f"VARM{i}" for i in range(5)),
    ]
    assert voices[2] == Voice("NATF2", "Natural female", "Natural female 2")


def test_each_voice_has_a_label_of_its_own_within_its_kind() -> None:
    voices = load_catalogue(CATALOGUE_PATH)
    assert len({voice.label for voice in voices}) == len(voices)
    groups = {
        "NATF": "Natural female",
        "NATM": "Natural male",
        "VARF": "Variety female",
        "VARM": "Variety male",
    }
    assert all(voice.group == groups[voice.name[:4]] for voice in voices)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}}",
        '{"name": "A"}',
        '["A"]',
        "7",
        '[{"name": "A"}]',
        '[{"name": "A", "group": "G", "label": "L", "x": 1}]',
    ],
)
def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"catalogue\.json must be a list of voices"):
        load_catalogue(path)


def test_a_voice_listed_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    entry = '{"name": "A", "group": "G", "label": "L"}'
    path.write_text(f"[{entry}, {entry}]")
    with pytest.raises(ValueError, match="twice"):
        load_catalogue(path)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("NATF2.pt", "NATF2"),
        ("NATF2", "NATF2"),
        (" NATF2.pt ", "NATF2"),
        ("anna.wav", "anna.wav"),
        ("../NATF2.pt", "../NATF2"),
        ("", ""),
    ],
)
def test_the_name_of_a_voice_has_no_pt(given: str, name: str) -> None:
    assert canonical_voice_name(given) == name
