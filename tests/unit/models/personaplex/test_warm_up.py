"""What is captured and measured before the first caller, with the tape in the place of CUDA graphs."""

from pathlib import Path

import pytest
import torch

from personaplex_ui.models.personaplex.loading import warm_up
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.loading.warm_up import measure_costs, tune
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.stepper import Stepper
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.parity import TINY, play, unheard
from tests.support.tape_recorder import TapeRecorder
from tests.unit.models.personaplex.test_parity import join

BY_MEMORY = 3


@pytest.fixture
def model(own_voices: Path, monkeypatch: pytest.MonkeyPatch) -> PersonaPlexModel:
    torch.set_num_threads(1)
    monkeypatch.setattr(warm_up, "MEASURED_TICKS", 2)
    monkeypatch.setattr(warm_up, "UNMEASURED_TICKS", 1)
    voices = VoiceLibrary(folders=(own_voices,))
    source = Source(str(TINY), device="cpu", slots=BY_MEMORY, voices=voices, pin_persona=False)
    return load_personaplex(source, unheard)


def test_as_many_calls_as_the_ticks_allow(model: PersonaPlexModel, monkeypatch: pytest.MonkeyPatch):
    def tick_sec(stepper: Stepper, callers: int, riding: bool = False) -> float:
        stepper.measure(callers, 1, riding)
        return 0.030 * callers + 0.001 * riding

    monkeypatch.setattr(warm_up, "tick_sec", tick_sec)
    said: list[tuple[str, float]] = []
    report = tune(model, TapeRecorder(), BY_MEMORY, None, lambda text, done: said.append((text, done)))
    assert report.lines == model.slots == 2
    assert report.by_memory == BY_MEMORY
    assert model.stepper.graphs.trouble == ""
    assert model.costs.step_sec == pytest.approx(0.06)
    assert model.costs.ride_sec == pytest.approx(0.001)
    assert min(model.costs.chunk_sec, model.costs.voice_sec) > 0
    assert ("Capturing the tick of 3 callers and a prompt (1 of 6).", 0.0) in said
    conversation = join(model, "voice_preset", 1)
    play(model, conversation)
    conversation.assert_parity()


def test_a_number_in_the_settings_is_kept(model: PersonaPlexModel):
    report = tune(model, TapeRecorder(), 9, BY_MEMORY, unheard)
    assert report.lines == model.slots == BY_MEMORY
    assert list(report.measured_ms) == [BY_MEMORY]


def test_measuring_leaves_no_trace(model: PersonaPlexModel):
    model.stepper.measure(2, 2, riding=True)
    measure_costs(model.stepper)
    conversation = join(model, "voice_preset", 0)
    play(model, conversation)
    conversation.assert_parity()
