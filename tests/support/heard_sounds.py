"""Sounds that are no speech and no fault either, and what a broken model makes of speech. All at 24 kHz."""

from typing import cast

import numpy as np
import soxr

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples
from tests.support.recorded_speech import recordings

KEYS = {"1": (697, 1209), "5": (770, 1336), "9": (852, 1477), "0": (941, 1336), "3": (697, 1477)}


def pause(sec: float) -> Samples:
    return np.zeros(round(sec * SAMPLE_RATE_HZ), dtype=np.float32)


def speech() -> Samples:
    """25 s of several readers."""
    return np.concatenate([recording.samples for recording in recordings()])


def over_a_telephone(sound: Samples) -> Samples:
    return _resampled(_resampled(sound, SAMPLE_RATE_HZ, 8_000), 8_000, SAMPLE_RATE_HZ)


def _resampled(sound: Samples, from_hz: int, to_hz: int) -> Samples:
    return np.asarray(cast(object, soxr.resample(sound, from_hz, to_hz)), dtype=np.float32)


def note(hz: float, sec: float, vibrato: float = 0.0) -> Samples:
    """A voice that holds a note. ``vibrato``: its depth as a share of the pitch."""
    time_sec = np.arange(round(sec * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    wobble = vibrato / (2 * np.pi * 5.5) * np.sin(2 * np.pi * 5.5 * time_sec)
    phase = 2 * np.pi * hz * (time_sec + wobble)
    voice = sum(np.sin(harmonic * phase) / harmonic**1.5 for harmonic in range(1, 12))
    envelope = np.clip(np.minimum(time_sec, sec - time_sec) / 0.05, 0, 1)
    return (0.1 * voice * envelope).astype(np.float32)


def keys(pressed: str, sec: float) -> Samples:
    """A telephone's keys (DTMF), each held for ``sec``."""
    time_sec = np.arange(round(sec * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tones = [sum(0.2 * np.sin(2 * np.pi * hz * time_sec) for hz in KEYS[key]) for key in pressed]
    return np.concatenate([part for tone in tones for part in (tone, pause(0.1))]).astype(np.float32)


def music(sec: float) -> Samples:
    """A tune on hold: chords of four notes a second over a bass."""
    dice = np.random.default_rng(3)
    scale = (220.0, 261.6, 329.6, 392.0, 349.2, 293.7, 246.9, 196.0)
    bass = (110.0, 165.0, 137.5, 220.0)
    beats: list[Samples] = []
    for beat in range(round(sec * 4)):
        hz = scale[dice.integers(len(scale))]
        low = note(bass[beat // 8 % 4], 0.25)
        chord = note(hz, 0.25) + 0.6 * note(hz * 1.5, 0.25) + 0.5 * low
        beats.append(chord.astype(np.float32))
    return np.concatenate(beats)


def white_noise(sec: float, level: float = 0.1) -> Samples:
    return np.random.default_rng(0).normal(0, level, round(sec * SAMPLE_RATE_HZ)).astype(np.float32)


def square(sec: float) -> Samples:
    """At full scale."""
    time_sec = np.arange(round(sec * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return np.sign(np.sin(2 * np.pi * 200 * time_sec)).astype(np.float32)


def looped(sec: float, period_samples: int) -> Samples:
    """A piece of speech of ``period_samples`` again and again."""
    piece = speech()[3 * SAMPLE_RATE_HZ :][:period_samples]
    return np.resize(piece, round(sec * SAMPLE_RATE_HZ)).astype(np.float32)


def frames(sound: Samples) -> Samples:
    """The whole frames of ``sound``, shape ``[n, 1920]``."""
    return sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
