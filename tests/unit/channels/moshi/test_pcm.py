"""16-bit PCM both ways: levels, limits, and what is not whole samples."""

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ
from personaplex_ui.channels.moshi.pcm import PcmInput, PcmOutput
from personaplex_ui.errors import ProtocolError
from tests.support.sounds import tone


def test_a_frame_comes_back_as_it_was():
    frame = tone(0.08)
    (heard,) = PcmInput().receive(PcmOutput().append(frame))
    assert not isinstance(heard, ProtocolError)
    np.testing.assert_allclose(heard, frame, atol=1e-4)
    assert heard.dtype == np.float32


def test_full_scale_and_what_is_no_number_stay_in_range():
    frame = np.zeros(FRAME_SAMPLES, dtype=np.float32)
    frame[:6] = [2.0, -2.0, 1.0, -1.0, np.nan, np.inf]
    samples = np.frombuffer(PcmOutput().append(frame), dtype="<i2")
    assert samples[:6].tolist() == [32_767, -32_767, 32_767, -32_767, 0, 32_767]
    (heard,) = PcmInput().receive(np.array([32_767, -32_768], dtype="<i2").tobytes())
    assert not isinstance(heard, ProtocolError)
    assert heard.tolist() == pytest.approx([1.0, -1.0], abs=1e-4)


def test_the_length_is_asked_for_before_it_is_heard():
    asked: list[float] = []

    def refuse(sec: float) -> bool:
        asked.append(sec)
        return False

    assert list(PcmInput().receive(bytes(2 * SAMPLE_RATE_HZ), refuse)) == []
    assert asked == [1.0]


def test_nothing_is_nothing_and_half_a_sample_is_an_error():
    assert list(PcmInput().receive(b"")) == []
    (error,) = PcmInput().receive(b"\0\0\0")
    assert "two bytes each" in str(error)
