"""Speech is found where it is: sentences of a synthesiser at known places, in the noise of a room.

A sentence begins and ends where its own energy does, 30 dB below its loudest 5 ms. Where a fading "s" ends
nobody can say, so a few may be further off.
"""

import subprocess
from pathlib import Path

import numpy as np
import soundfile
import soxr

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.duplex.measure import measure
from tests.support.chromium import require

SENTENCES = (
    "The quick brown fox jumps over the lazy dog.",
    "Yes.",
    "What time do you open on Sundays?",
    "Mhm.",
    "I would like to book a table for two, please.",
    "Stop it!",
    "Please speak first, sixth and last.",
    "It is the one by the river that turns left at the bank",
)
VOICES = ("en-us", "en-gb", "en+f3", "de")
ROOM_DBFS, SPEECH_DBFS, BELOW_PEAK_DB = -60.0, -22.0, 30.0
STEP_SAMPLES = 120
BETWEEN_SEC = 1.0


def spoken(sentence: str, voice: str, folder: Path) -> Samples:
    path = folder / "spoken.wav"
    subprocess.run([require("espeak-ng"), "-v", voice, "-w", str(path), sentence], check=True, timeout=20)
    read, rate_hz = soundfile.read(path, dtype="float32")
    sound = np.asarray(soxr.resample(np.asarray(read), rate_hz, SAMPLE_RATE_HZ), dtype=np.float32)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    loud = sound[np.abs(sound) > 0.01]
    return (sound * 10 ** (SPEECH_DBFS / 20) / np.sqrt(np.mean(loud**2))).astype(np.float32)


def begin_and_end(sound: Samples) -> tuple[float, float]:
    """In seconds."""
    steps = sound[: len(sound) // STEP_SAMPLES * STEP_SAMPLES].reshape(-1, STEP_SAMPLES)
    power = np.mean(steps**2, axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-BELOW_PEAK_DB / 10))
    return float(loud[0]) * STEP_SAMPLES / SAMPLE_RATE_HZ, float(loud[-1] + 1) * STEP_SAMPLES / SAMPLE_RATE_HZ


def test_sentences_are_found_where_they_are(tmp_path: Path) -> None:
    silence = np.zeros(round(BETWEEN_SEC * SAMPLE_RATE_HZ), dtype=np.float32)
    parts, true, now = [silence], list[tuple[float, float]](), BETWEEN_SEC
    for number, sentence in enumerate(SENTENCES * 2):
        sound = spoken(sentence, VOICES[number % len(VOICES)], tmp_path)
        begin, end = begin_and_end(sound)
        true.append((now + begin, now + end))
        parts += [sound, silence]
        now += len(sound) / SAMPLE_RATE_HZ + BETWEEN_SEC
    said = np.concatenate(parts)
    said += 10 ** (ROOM_DBFS / 20) * np.random.default_rng(1).standard_normal(len(said), np.float32)
    report = measure([np.stack([said, np.zeros_like(said)], axis=1)])
    errors: list[float] = []
    for begin, end in true:
        found = [
            each
            for each in report.turns.caller
            if each.start_sec < end + BETWEEN_SEC / 2 and each.end_sec > begin - BETWEEN_SEC / 2
        ]
        assert found, f"nothing from {begin:.2f} s to {end:.2f} s"
        errors += [abs(found[0].start_sec - begin), abs(found[-1].end_sec - end)]
    assert np.median(errors) < 0.015
    assert np.quantile(errors, 0.9) < 0.04
    assert max(errors) < 0.15
    assert report.turns.assistant == ()
