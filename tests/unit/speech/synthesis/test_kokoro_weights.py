"""What is to be fetched, and, where it has been fetched, how it sounds."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.speech.synthesis.kokoro import LEXICONS, MODEL, KokoroSynthesiser
from personaplex_ui.speech.synthesis.voice_choice import ALL_VOICES
from personaplex_ui.speech.weights import manifest as weights
from tests.support.weights import weights_folder

LIST = Path(weights.__file__).with_name("manifest.json")


def test_the_list_names_all_that_the_synthesiser_opens() -> None:
    listed: dict[str, Any] = json.loads(LIST.read_text(encoding="utf-8"))
    files = [entry for entry in listed["files"] if entry["name"].startswith("kokoro/")]
    names = (MODEL, *LEXICONS, *(f"{voice}.bin" for voice in ALL_VOICES))
    assert {entry["name"] for entry in files} == {f"kokoro/{name}" for name in names}
    assert {entry["licence"] for entry in files} == {"Apache-2.0"}
    parts = [part for entry in files for source in entry["sources"] for part in source.get("parts", [])]
    assert {part["package"] for part in parts} <= set(listed["packages"])


def test_the_real_model_speaks() -> None:
    said = KokoroSynthesiser.in_folder(weights_folder("kokoro"))
    text = "Good morning, a large pizza costs $15."
    woman, man = said.synthesise(text, "NATF0"), said.synthesise(text, "NATM0")
    for sound in (woman, man):
        assert 2.0 < len(sound) / SAMPLE_RATE_HZ < 6.0
        assert -26.0 < rms_dbfs(sound) < -18.0
    assert _pitch_hz(man) < 165.0 < _pitch_hz(woman)


def _pitch_hz(sound: Any) -> float:
    """The median pitch between 70 and 350 Hz, by autocorrelation of blocks of 40 ms."""
    pitches: list[float] = []
    for start in range(0, len(sound) - 960, 480):
        block = sound[start : start + 960].astype(np.float64)
        if rms_dbfs(block.astype(np.float32)) < -25.0:
            continue
        alike = np.correlate(block, block, "full")[959:]
        lag = int(np.argmax(alike[69:343])) + 69
        pitches.append(SAMPLE_RATE_HZ / lag)
    return float(np.median(pitches))
