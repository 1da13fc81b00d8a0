"""Token for token as the reference, whatever the sample rate of the recordings that go in."""

from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import soxr

from personaplex_ui.audio.files.clip_file import read_clip
from personaplex_ui.audio.frames import FRAME_SAMPLES, Samples, pad_to_frames
from personaplex_ui.engine.speech_model import Persona, Sampling, complete
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from tests.support.parity import DATA, Case, read_case
from tests.support.reference_audio import read_by_reference

RATES_HZ = [8_000, 16_000, 22_050, 44_100, 48_000]
FRAMES = 30


def at_rate(source: Path, path: Path, rate_hz: int) -> Path:
    sound, from_hz = soundfile.read(source, dtype="float32")
    resampled: Samples = soxr.resample(sound, from_hz, rate_hz)  # pyright: ignore[reportUnknownVariableType]
    soundfile.write(path, resampled, rate_hz, subtype="PCM_16")  # pyright: ignore[reportUnknownMemberType]
    return path


def at_24k_by_reference(path: Path) -> Path:
    """The 24 kHz file that the reference's own steps make: ``sphn.read``, ``sphn.resample``."""
    there = path.with_suffix(".24k.wav")
    soundfile.write(there, read_by_reference(path), 24_000, subtype="FLOAT")  # pyright: ignore[reportUnknownMemberType]
    return there


def tokens(model: PersonaPlexModel, case: Case) -> list[list[int]]:
    model.join(0, complete(model.prepare(case.persona)), Sampling(greedy=True))
    said = [model.step_tokens({0: frame})[0].tokens.tolist() for frame in case.user[:FRAMES]]
    model.leave(0)
    return said


def frames_of(sound: Samples) -> Samples:
    return pad_to_frames(sound).reshape(-1, FRAME_SAMPLES)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_clip(model: PersonaPlexModel, tmp_path: Path, rate_hz: int) -> None:
    case = read_case("voice_preset")
    path = at_rate(DATA / "cases" / case.name / "user.wav", tmp_path / "user.wav", rate_hz)
    expected, heard = read_by_reference(path), read_clip(path, 60.0)
    assert len(frames_of(heard)) == len(frames_of(expected))
    assert tokens(model, replace(case, user=frames_of(heard))) == tokens(
        model, replace(case, user=frames_of(expected))
    )


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_recorded_voice(model: PersonaPlexModel, tmp_path: Path, rate_hz: int) -> None:
    case = read_case("custom_voice_no_prompt")
    path = at_rate(DATA / "cases" / case.name / "voice.wav", tmp_path / "voice.wav", rate_hz)
    given = model.voices.add_file(path)
    expected = model.voices.add_file(at_24k_by_reference(path))
    assert tokens(model, replace(case, persona=Persona(given, ""))) == tokens(
        model, replace(case, persona=Persona(expected, ""))
    )
