"""A client's sound comes live, all at once, in bursts or not at all; the model hears it in real time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.channels.realtime.input_sound import (
    GAP_SEC,
    LIVE_KEPT_SEC,
    MOST_HELD_SEC,
    PASSES_SEC,
    PAUSE_KEPT_SEC,
    InputSound,
)
from tests.support.sounds import tone


def seconds(samples: Samples) -> float:
    return len(samples) / SAMPLE_RATE_HZ


def silence(sec: float) -> Samples:
    return np.zeros(round(sec * SAMPLE_RATE_HZ), dtype=np.float32)


class Listener:
    """Takes what is due, at whatever moments it is told to wait for."""

    def __init__(self, now: float = 100.0) -> None:
        self.input = InputSound()
        self.now = now
        self.heard: list[Samples] = []
        self.furthest_ahead_sec = 0.0

    def begin(self) -> "Listener":
        self.input.begin(self.now)
        self.began = self.now
        return self

    def until(self, now: float) -> None:
        while True:
            self._take()
            wait_sec = self.input.wait_sec(self.now)
            if self.now + wait_sec > now:
                break
            self.now += max(wait_sec, 1e-4)
        self.now = now
        self._take()

    def _take(self) -> None:
        self.heard.append(self.input.take(self.now))
        self.furthest_ahead_sec = max(self.furthest_ahead_sec, seconds(self.sound) - (self.now - self.began))

    @property
    def sound(self) -> Samples:
        return np.concatenate([*self.heard, silence(0)])

    @property
    def loud_sec(self) -> float:
        return float(np.sum(np.abs(self.sound) > 0)) / SAMPLE_RATE_HZ


def test_live_sound_passes_at_once():
    listener = Listener().begin()
    for _ in range(50):
        assert listener.input.put(tone(0.1), listener.now)
        before = len(listener.sound)
        listener.until(listener.now)
        assert len(listener.sound) - before == 2_400
        listener.until(listener.now + 0.1)
    assert listener.input.left_out_samples == 0


def test_a_file_is_heard_in_real_time_and_whole():
    listener = Listener().begin()
    assert listener.input.put(tone(20.0), listener.now)
    listener.until(listener.now + 5.0)
    assert seconds(listener.sound) == pytest.approx(5.0, abs=0.1)
    listener.until(listener.now + 15.0)
    assert listener.loud_sec == pytest.approx(20.0, abs=0.1)
    assert listener.furthest_ahead_sec <= PASSES_SEC + 0.01


def test_where_nothing_comes_there_is_silence_at_the_clocks_pace():
    listener = Listener().begin()
    listener.until(listener.now + 10.0)
    assert seconds(listener.sound) == pytest.approx(10.0, abs=0.2)
    assert not listener.sound.any()


def test_sound_after_silence_passes_at_once():
    listener = Listener().begin()
    listener.until(listener.now + 3.0)
    listener.input.put(tone(0.1), listener.now)
    listener.until(listener.now)
    assert listener.sound[-1_000:].any()


def test_a_pause_in_a_backlog_is_shortened_and_speech_is_not():
    listener = Listener().begin()
    listener.input.put(np.concatenate([tone(2.0), silence(5.0), tone(2.0), silence(1.0)]), listener.now)
    listener.until(listener.now + 6.0)
    assert listener.loud_sec == pytest.approx(4.0, abs=0.05)
    assert seconds(silence(5.0)) - listener.input.left_out_samples / SAMPLE_RATE_HZ == pytest.approx(
        PAUSE_KEPT_SEC, abs=0.05
    )


def test_after_a_stall_the_callers_next_pauses_make_up_for_it():
    listener = Listener().begin()
    for number in range(200):
        if number < 20 or number >= 40:
            # What was held up for 2 s comes at once.
            sound = silence(0.1) if number % 20 > 8 else tone(0.1)
            listener.input.put(np.concatenate([tone(2.0), sound]) if number == 40 else sound, listener.now)
        listener.until(listener.now + 0.1)
    assert listener.input.held_sec < 0.6


def test_a_backlog_that_stays_without_any_pause_is_dropped():
    listener = Listener().begin()
    listener.input.put(tone(3.0), listener.now)
    for _ in range(150):
        listener.input.put(tone(0.1), listener.now)
        listener.until(listener.now + 0.1)
    assert listener.input.held_sec < 0.6


def test_a_file_that_comes_at_twice_its_speed_is_heard_whole():
    listener = Listener().begin()
    for _ in range(200):
        assert listener.input.put(tone(0.2), listener.now)
        listener.until(listener.now + 0.1)
    listener.until(listener.now + 25.0)
    assert listener.loud_sec == pytest.approx(40.0, abs=0.1)


def test_too_much_is_refused_and_what_is_there_is_kept():
    listener = Listener().begin()
    assert listener.input.put(tone(MOST_HELD_SEC), listener.now)
    assert not listener.input.put(tone(0.1), listener.now)
    listener.until(listener.now + 1.0)
    assert listener.input.put(tone(0.1), listener.now)


def test_a_file_sent_before_the_call_is_kept_and_a_microphones_past_is_not():
    file = Listener()
    file.input.put(tone(10.0), file.now)
    file.now += 2.0
    file.begin()
    assert file.input.held_sec == pytest.approx(10.0)

    microphone = Listener()
    for _ in range(100):
        microphone.input.put(tone(0.1), microphone.now)
        microphone.now += 0.1
    microphone.begin()
    assert microphone.input.held_sec == pytest.approx(LIVE_KEPT_SEC, abs=0.05)


def test_of_a_file_that_does_not_fit_the_end_is_refused():
    listener = Listener()
    assert [listener.input.put(tone(30.0), listener.now) for _ in range(3)] == [True, True, False]
    assert (listener.input.held_sec, listener.input.left_out_samples) == (MOST_HELD_SEC, 0)
    listener.input.clear()
    assert listener.input.held_sec == 0.0


def test_of_a_microphone_before_the_call_the_latest_is_kept():
    listener = Listener()
    for _ in range(140):
        assert listener.input.put(tone(0.5), listener.now)
        listener.now += 0.5
    assert listener.input.held_sec == pytest.approx(MOST_HELD_SEC, abs=0.05)


def test_a_file_is_still_one_after_a_long_wait_for_a_line():
    listener = Listener()
    listener.input.put(tone(30.0), listener.now)
    listener.now += 300.0
    listener.begin()
    assert listener.input.held_sec == pytest.approx(30.0)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.0, 2.0)), max_size=12))
def test_however_sound_comes_the_clock_goes_on_in_real_time(pieces: list[tuple[float, float]]):
    listener = Listener().begin()
    for wait_sec, sound_sec in pieces:
        listener.until(listener.now + wait_sec)
        listener.input.put(tone(sound_sec), listener.now)
    listener.until(listener.now + 0.5)
    assert listener.furthest_ahead_sec <= PASSES_SEC + 0.02
    # A piece that comes within GAP_SEC is late, not missing.
    late_sec = GAP_SEC * (len(pieces) + 1)
    assert seconds(listener.sound) >= listener.now - listener.began - late_sec - 0.1
