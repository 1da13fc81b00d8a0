"""Which voice stands in for which."""

from pathlib import Path

from personaplex_ui.speech.synthesis.voice_choice import ALL_VOICES, kokoro_voice
from personaplex_ui.voices.catalogue import load_catalogue

CATALOGUE = Path(__file__).parents[4] / "voices" / "catalogue.json"


def test_each_voice_of_the_catalogue_has_its_own_of_the_same_sex() -> None:
    chosen = {voice.name: kokoro_voice(voice.name) for voice in load_catalogue(CATALOGUE)}
    assert len(set(chosen.values())) == len(chosen) == 18
    assert all(name[3] == chosen[name][1].upper() for name in chosen)


def test_an_unknown_name_always_gets_the_same_voice() -> None:
    names = ["my aunt", "Ünal", "", "NATX9", "af_unknown", "../etc/passwd", "\ud800"]
    assert [kokoro_voice(name) for name in names] == [kokoro_voice(name) for name in names]
    assert all(kokoro_voice(name) in ALL_VOICES for name in names)
    assert len({kokoro_voice(f"voice {n}") for n in range(100)}) > 10


def test_other_forms_of_a_name() -> None:
    assert kokoro_voice("NATF2.pt") == kokoro_voice("NATF2")
    assert kokoro_voice("bm_george") == "bm_george"
