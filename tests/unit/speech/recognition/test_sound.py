"""How long somebody speaks in a sound."""

import numpy as np
import pytest

from personaplex_ui.speech.recognition.mel import WHISPER_RATE_HZ
from personaplex_ui.speech.recognition.sound import spoken_sec


def test_silence_around_speech_is_not_spoken() -> None:
    rng = np.random.default_rng(1)
    room = (0.001 * rng.standard_normal(3 * WHISPER_RATE_HZ)).astype(np.float32)
    spoken = room.copy()
    for begin, end in ((0.5, 0.9), (1.2, 1.5)):  # with a pause in it
        spoken[round(begin * WHISPER_RATE_HZ) : round(end * WHISPER_RATE_HZ)] += 0.3
    assert spoken_sec(spoken) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("samples", [0, 100, WHISPER_RATE_HZ])
def test_nothing_is_no_time(samples: int) -> None:
    assert spoken_sec(np.zeros(samples, dtype=np.float32)) == 0.0
