"""Utterances in a caller's frames: where they begin and end, and that one without a pause is cut well."""

import itertools

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAME_SEC, SAMPLE_RATE_HZ, Samples, pad_to_frames
from personaplex_ui.captions.utterances import Spoken, UtteranceFinder
from tests.support.sounds import tone
from tests.support.speech_parts import pause


def found(*sounds: Samples, start_sec: float = 0.0, finish: bool = True) -> list[Spoken]:
    finder, heard = UtteranceFinder(), list[Spoken | None]()
    for number, frame in enumerate(pad_to_frames(np.concatenate(sounds)).reshape(-1, FRAME_SAMPLES)):
        heard.append(finder.hear(frame, start_sec + number * FRAME_SEC))
    if finish:
        heard.append(finder.finish())
        assert finder.finish() is None
    return [spoken for spoken in heard if spoken is not None]


def test_each_utterance_has_the_times_at_which_it_was_said():
    first, second = found(pause(1.0), tone(2.0), pause(1.0), tone(0.8), pause(1.0), start_sec=100.0)
    times = [first.start_sec, first.end_sec, second.start_sec, second.end_sec]
    assert times == pytest.approx([101.0, 103.0, 104.0, 104.8], abs=1.1 * FRAME_SEC)
    assert len(first.samples) / SAMPLE_RATE_HZ == pytest.approx(2.0 + 4 * FRAME_SEC, abs=1.1 * FRAME_SEC)


@pytest.mark.parametrize("paused_sec", [0.0, 0.32])
def test_what_is_said_as_the_call_ends_is_not_lost(paused_sec: float):
    [spoken] = found(pause(0.5), tone(1.0), pause(paused_sec))
    assert (spoken.start_sec, spoken.end_sec) == pytest.approx((0.5, 1.5), abs=1.1 * FRAME_SEC)


@pytest.mark.parametrize(
    "sound", [pause(5.0), np.zeros(0, dtype=np.float32), tone(0.05), tone(60.0, 300, amplitude=1e-3)]
)
def test_silence_clicks_and_hum_are_nothing(sound: Samples):
    assert found(pause(0.5), sound, pause(1.0)) == []


def test_one_who_never_pauses_is_cut_where_it_is_quietest():
    """Every second of this speech ends with a breath of a frame."""
    breath = tone(FRAME_SEC, 300, amplitude=0.02)
    second = np.concatenate([tone(1.0 - FRAME_SEC, 300), breath])
    cut = found(np.tile(second, 90))
    assert [spoken.end_sec - spoken.start_sec for spoken in cut][:-1] == [
        pytest.approx(27.0, abs=2.6) for _ in cut[:-1]
    ]
    for before, after in itertools.pairwise(cut):
        assert after.start_sec == pytest.approx(before.end_sec)
        assert np.abs(before.samples[-FRAME_SAMPLES:]).mean() < 0.25
    assert sum(len(spoken.samples) for spoken in cut) == pytest.approx(
        90 * SAMPLE_RATE_HZ, abs=SAMPLE_RATE_HZ
    )


def test_a_pause_is_told_only_after_speech():
    finder = UtteranceFinder()
    for number, frame in enumerate(pad_to_frames(np.concatenate([pause(0.4), tone(0.4)])).reshape(-1, 1920)):
        finder.hear(frame, number * FRAME_SEC)
        assert not finder.in_pause
    finder.hear(np.zeros(FRAME_SAMPLES, dtype=np.float32), 0.8)
    assert finder.in_pause
