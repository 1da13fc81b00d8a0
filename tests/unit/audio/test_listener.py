"""What the echo engine takes for an utterance: sound goes in frame by frame, utterances come out."""

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAME_SEC, SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.audio.listener import PAUSE_FRAMES, Listener, Utterance

GENERATOR = np.random.default_rng(7)


def noise(frames: int, level_dbfs: float) -> Samples:
    """White noise, which has the same level in every frame and no two equal stretches."""
    samples = GENERATOR.standard_normal(frames * FRAME_SAMPLES)
    return (samples / np.sqrt(np.mean(samples**2)) * 10 ** (level_dbfs / 20)).astype(np.float32)


def tone(frames: int, level_dbfs: float) -> Samples:
    time_sec = np.arange(frames * FRAME_SAMPLES) / SAMPLE_RATE_HZ
    return (10 ** (level_dbfs / 20) * np.sqrt(2) * np.sin(2 * np.pi * 220 * time_sec)).astype(np.float32)


def silence(frames: int) -> Samples:
    return np.zeros(frames * FRAME_SAMPLES, dtype=np.float32)


def hear(listener: Listener, *sounds: Samples) -> list[tuple[int, Utterance]]:
    """All utterances, each with the number of the frame it ended in."""
    frames = np.concatenate(sounds).reshape(-1, FRAME_SAMPLES)
    heard = [(number, listener.hear(frame)) for number, frame in enumerate(frames)]
    return [(number, utterance) for number, utterance in heard if utterance is not None]


def test_an_utterance_is_over_after_a_pause_of_half_a_second():
    [(ended_in, _)] = hear(Listener(), noise(12, -20), silence(20))
    pause_sec = (ended_in + 1 - 12) * FRAME_SEC
    assert pause_sec - FRAME_SEC < 0.5 <= pause_sec


def test_a_shorter_pause_is_part_of_the_utterance():
    sound = np.concatenate([noise(10, -20), silence(PAUSE_FRAMES - 1), noise(10, -20), silence(10)])
    [(_, utterance)] = hear(Listener(), sound)
    assert len(utterance.samples) >= (20 + PAUSE_FRAMES - 1) * FRAME_SAMPLES


def test_two_utterances_with_a_pause_between_them_are_two():
    first, second = noise(10, -20), noise(15, -20)
    listener = Listener()
    (_, one), (_, two) = hear(listener, first, silence(10), second, silence(10))
    assert np.array_equal(one.samples[: len(first)], first)
    assert np.array_equal(two.samples[2 * FRAME_SAMPLES :][: len(second)], second)
    assert not listener.hearing


def test_nothing_of_the_onset_or_the_end_is_cut_off():
    """Both are softer than what counts as speech."""
    before, onset, speech, end = silence(5), noise(2, -50), noise(10, -20), noise(2, -50)
    [(_, utterance)] = hear(Listener(), before, onset, speech, end, silence(10))
    assert np.array_equal(utterance.samples, np.concatenate([onset, speech, end]))


def test_an_onset_in_the_last_frames_of_a_pause_is_not_cut_off():
    onset, speech = noise(2, -50), noise(10, -20)
    pause = np.concatenate([silence(PAUSE_FRAMES - 2), onset])
    _, (_, second) = hear(Listener(), noise(10, -20), pause, speech, silence(10))
    assert np.array_equal(second.samples[: 12 * FRAME_SAMPLES], np.concatenate([onset, speech]))


@pytest.mark.parametrize("level_dbfs", [-6.0, -20.0, -40.0])
def test_the_level_is_that_of_the_utterance(level_dbfs: float):
    [(_, utterance)] = hear(Listener(), silence(5), tone(40, level_dbfs), silence(10))
    assert utterance.level_dbfs == rms_dbfs(utterance.samples)
    assert utterance.level_dbfs == pytest.approx(level_dbfs, abs=1.0)


@pytest.mark.parametrize("sound", [silence(400), noise(400, -60), noise(400, -48)])
def test_silence_and_a_quiet_room_are_no_utterance(sound: Samples):
    listener = Listener()
    assert hear(listener, sound, silence(20)) == []
    assert not listener.hearing


def test_a_cough_is_one_frame_of_speech():
    listener = Listener()
    in_a_row: list[int] = []
    for sound in (silence(1), noise(1, -10), silence(1), noise(1, -10), noise(1, -10)):
        listener.hear(sound)
        in_a_row.append(listener.speech_frames)
    assert in_a_row == [0, 1, 0, 1, 2]


@pytest.mark.parametrize("fan", [noise(800, -38), tone(800, -32)])
def test_a_fan_that_starts_is_background_before_long(fan: Samples):
    listener = Listener()
    assert len(hear(listener, silence(20), fan[: 250 * FRAME_SAMPLES])) <= 1
    assert not listener.hearing
    assert hear(listener, fan[250 * FRAME_SAMPLES :]) == []


def test_speech_stands_out_from_a_fan_and_ends_in_it():
    listener = Listener()
    hear(listener, noise(300, -40))
    speech = noise(20, -15)
    [(ended_in, utterance)] = hear(listener, noise(10, -40), speech, noise(30, -40))
    assert ended_in == 10 + 20 + PAUSE_FRAMES - 1
    assert np.array_equal(utterance.samples[2 * FRAME_SAMPLES :][: len(speech)], speech)


def test_when_the_fan_stops_soft_speech_is_heard_again():
    listener = Listener()
    hear(listener, noise(300, -35), noise(2, -70))
    [(_, utterance)] = hear(listener, noise(10, -40), silence(10))
    assert len(utterance.samples) >= 10 * FRAME_SAMPLES


def test_of_a_monologue_the_last_thirty_seconds_are_kept():
    """Words with a frame of quiet between them, as people speak; without it, it would be a fan."""
    word = np.concatenate([noise(4, -20), noise(1, -65)])
    monologue = np.concatenate([word] * 100)
    [(_, utterance)] = hear(Listener(), monologue, silence(10))
    assert 29.0 < len(utterance.samples) / SAMPLE_RATE_HZ <= 30.0
    said = np.concatenate([monologue, silence(1)])
    assert np.array_equal(utterance.samples, said[-len(utterance.samples) :])


def test_a_caller_whose_pauses_are_digital_silence_is_heard_on_and_on():
    """As noise suppression makes them: speech must not pass for noise in the end."""
    listener = Listener()
    for _ in range(40):
        assert len(hear(listener, noise(8, -20), silence(30))) == 1


def test_a_pause_is_told_while_it_lasts_and_a_cough_has_none():
    listener = Listener()
    told: list[int] = []
    for frame in np.concatenate([noise(4, -20), silence(3), noise(1, -20), silence(8)]).reshape(
        -1, FRAME_SAMPLES
    ):
        listener.hear(frame)
        told.append(listener.pause_frames)
    assert told == [0, 0, 0, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 0, 0]
    cough = Listener()
    for frame in np.concatenate([noise(1, -20), silence(4)]).reshape(-1, FRAME_SAMPLES):
        cough.hear(frame)
        assert cough.pause_frames == 0
    assert cough.hearing
    assert not cough.hears_speech


def test_an_utterance_that_is_full_can_be_cut_and_what_follows_is_the_next_one():
    word = np.concatenate([noise(4, -20), noise(1, -65)])
    frames = np.concatenate([word] * 100).reshape(-1, FRAME_SAMPLES)
    listener = Listener()
    full_in = next(number for number, frame in enumerate(frames) if listener.hear(frame) or listener.is_full)
    assert full_in == int(30.0 / FRAME_SEC) - 1
    assert np.array_equal(listener.cut().samples, frames[: full_in + 1].reshape(-1))
    assert not listener.hearing
    [(_, rest)] = hear(listener, frames[full_in + 1 :].reshape(-1), silence(10))
    assert np.array_equal(rest.samples[-len(word) :], np.concatenate([word, silence(1)])[-len(word) :])
