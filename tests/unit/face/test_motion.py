"""The mouth follows loudness and colour of a sound, and the face blinks and sways by its seed alone."""

from itertools import pairwise

import numpy as np
import pytest

from personaplex_ui.audio.frames import Samples
from personaplex_ui.face.motion import PICTURE_SAMPLES, IdleMotion, Mouth, SpeakingMouth
from tests.support.sounds import tone

PICTURE = PICTURE_SAMPLES / 24_000


def mouths(samples: Samples) -> list[Mouth]:
    mouth = SpeakingMouth()
    return [mouth.say(part) for part in samples.reshape(-1, PICTURE_SAMPLES)]


def test_a_loud_sound_opens_it_and_silence_shuts_it():
    loud = tone(0.4, 300.0, amplitude=0.4)
    shapes = mouths(np.concatenate([loud, np.zeros(24_000, dtype=np.float32)]))
    assert shapes[9].open > 0.9
    assert shapes[9].glow > 0.8
    assert shapes[-1].open < 0.01


def test_bright_sounds_draw_it_apart_and_dark_ones_round_it():
    dark, bright = mouths(tone(0.4, 300.0))[-1], mouths(tone(0.4, 3_000.0))[-1]
    assert dark.wide < 0.1
    assert bright.wide > 0.9


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_sound_leaves_it_shut(value: float):
    assert mouths(np.full(PICTURE_SAMPLES, value, dtype=np.float32))[0].open == 0.0


def test_idle_motion_is_the_same_for_a_seed_and_another_for_another():
    one, again, other = IdleMotion(1), IdleMotion(1), IdleMotion(2)
    poses = [one.next() for _ in range(500)]
    assert poses == [again.next() for _ in range(500)]
    assert poses != [other.next() for _ in range(500)]
    blinks = sum(a.eyes >= 0.5 > b.eyes for a, b in pairwise(poses))
    assert 3 <= blinks <= 8  # in 20 s
    assert all(abs(pose.right) <= 2.0 and abs(pose.down) <= 2.0 for pose in poses)
