"""The catalogue of voices, and the names by which they are known."""

from pathlib import Path

import pytest

from personaplex_ui.voices.catalogue import CATALOGUE_PATH, Voice, load_catalogue
from personaplex_ui.voices.names import canonical_voice_name

GROUPS = {
    "NATF": ("Natural female", 4),
    "NATM": ("Natural male", 4),
    "VARF": ("Variety female", 5),
    "VARM": ("Variety male", 5),
}
ENTRY = '{"name": "A", "group": "G", "label": "L"}'


def test_the_catalogue_lists_the_18_voices_of_the_model() -> None:
    voices = load_catalogue(CATALOGUE_PATH)
    assert [(voice.name, voice.group) for voice in voices] == [
        (f"{kind}{number}", group) for kind, (group, most) in GROUPS.items() for number in range(most)
    ]
    assert voices[2] == Voice(
        "NATF2", "Natural female", "Natural female 2", "Nora", "a natural female voice", featured=True
    )
    assert len({voice.person for voice in voices}) == len(voices)
    assert len({voice.label for voice in voices}) == len(voices)


BROKEN = ["", "{}}", '{"name": "A"}', '["A"]', "7", '[{"name": "A"}]', f'[{ENTRY[:-1]}, "x": 1}}]']


@pytest.mark.parametrize(
    ("content", "told"),
    [
        *((each, r"catalogue\.json must be a list of voices") for each in BROKEN),
        (f"[{ENTRY}, {ENTRY}]", "twice"),
    ],
)
def test_a_file_that_is_not_a_catalogue_is_refused(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=told):
        load_catalogue(path)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("NATF2.pt", "NATF2"),
        (" NATF2.pt ", "NATF2"),
        ("anna.wav", "anna.wav"),
        ("../NATF2.pt", "../NATF2"),
        ("", ""),
    ],
)
def test_the_name_of_a_voice_has_no_pt(given: str, name: str) -> None:
    assert canonical_voice_name(given) == name
