"""Frame times: which numbers of callers, how a window is filled, and the verdict on made-up times."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pytest

from personaplex_ui.accept import frame_times
from personaplex_ui.accept.frame_times import Timing, counts, filling_role, time_frames
from personaplex_ui.accept.report import OK, PROBLEM, WARNING, Finding, Verdict
from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame, Samples
from personaplex_ui.engine.speech_model import Persona, Prepared, PromptSize, Sampling
from personaplex_ui.models.personaplex.model import PersonaPlexModel

SPEECH: Samples = np.zeros(10 * FRAME_SAMPLES, np.float32)


class Stepped:
    """A model whose step takes so long on ``clock``; every word of a role is two tokens."""

    def __init__(self, slots: int, ms: Mapping[int, float], full_at: int = 99) -> None:
        self.slots = slots
        self.on: dict[int, Persona] = {}
        self.now = 0.0
        self.measured: list[int] = []
        self.stepper = self
        self._ms = ms
        self._full_at = full_at

    def prompt_size(self, persona: Persona) -> PromptSize:
        return PromptSize(2 + 2 * len(persona.text_prompt.split()), 251)

    def prepare(self, persona: Persona) -> Prepared:
        self.now += 1.0
        return Prepared(persona)

    def join(self, slot: int, persona: Persona, sampling: Sampling) -> None:
        import torch

        if len(self.on) >= self._full_at and len(persona.text_prompt) > 100:
            raise torch.OutOfMemoryError
        assert slot not in self.on
        self.on[slot] = persona

    def step(self, heard: Mapping[int, Frame]) -> None:
        assert sorted(heard) == sorted(self.on)
        self.now += self._ms[len(heard)] / 1_000

    def measure(self, callers: int, ticks: int) -> list[float]:
        assert self.on == {}
        self.measured.append(callers)
        return [0.007] * ticks

    def leave(self, slot: int) -> None:
        self.on.pop(slot, None)

    def forget_personas(self) -> None: ...

    def recover(self) -> None: ...


def timed(model: Stepped, monkeypatch: pytest.MonkeyPatch) -> dict[str, Finding]:
    monkeypatch.setattr(frame_times, "perf_counter", lambda: model.now)
    persona = Persona("NATF2", "Be kind.")
    found = list(time_frames(cast(Any, model), persona, SPEECH, 8, lambda part: None))
    assert model.on == {}
    return {finding.name: finding for finding in found}


@pytest.mark.parametrize(
    ("slots", "expected"),
    [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (7, [1, 2, 4, 7]), (64, [1, 2, 4, 8, 16, 32, 64])],
)
def test_counts_of_callers(slots: int, expected: list[int]):
    assert counts(slots) == expected


def test_a_role_fills_the_window():
    role = filling_role(cast(PersonaPlexModel, Stepped(1, {})), "NATF2")
    assert len(role.split()) == 124  # 250 tokens of 251


@pytest.mark.parametrize(
    ("ms", "verdict", "step"),
    [
        ({1: 30, 2: 40, 4: 60}, OK, ""),
        ({1: 30, 2: 40, 4: 70}, WARNING, "Set MAX_CALLS=2"),
        ({1: 30, 2: 70, 4: 90}, PROBLEM, "Set MAX_CALLS=1"),
        ({1: 100, 2: 70, 4: 90}, PROBLEM, "too slow for a single call"),
    ],
)
def test_the_slowest_number_of_callers_decides(
    monkeypatch: pytest.MonkeyPatch, ms: dict[int, float], verdict: Verdict, step: str
):
    found = timed(Stepped(4, ms), monkeypatch)
    times = found["Frame times"]
    assert times.verdict is verdict
    assert step in times.next_step
    assert [row[:2] for row in times.table[1:]] == [
        (callers, window) for window in ("early", "full") for callers in ("1", "2", "4")
    ]
    assert found["A persona"].number == "1.00 s"


def test_without_room_for_a_prepared_window_the_tick_is_measured_alone(monkeypatch: pytest.MonkeyPatch):
    model = Stepped(4, dict.fromkeys((1, 2, 4), 20.0), full_at=2)
    times = timed(model, monkeypatch)["Frame times"]
    assert [row[:3] for row in times.table[4:]] == [
        ("1", "full", "20.0"),
        ("2", "full", "20.0"),
        ("4", "full", "7.0"),
    ]
    assert model.measured == [4]


def test_a_row_tells_percentiles_and_the_share_of_a_frame():
    assert Timing(4, "full", 200, 50.04, 55.0, 60.0).row == ("4", "full", "50.0", "55.0", "60.0", "75%")
