"""The soak on a fake model: what its callers do, and what is recorded of them, also when it is cut short."""

import asyncio

import pytest

from personaplex_ui.accept.soak import soak
from personaplex_ui.accept.soak_record import SoakRecord
from personaplex_ui.accept.speech import caller_speech
from personaplex_ui.engine.loading import ReportLoading
from personaplex_ui.engine.speech_model import Persona, SpeechModel
from personaplex_ui.errors import PersonaplexError
from tests.support.fake_model import FakeModel

PERSONA = Persona("NATF2", "Be kind.")
SPEECH = caller_speech(None)


class Counting(FakeModel):
    """Notes who was on at once, and which roles were prepared."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self.roles: list[str] = []

    def do_chunk(self, persona: Persona) -> None:
        super().do_chunk(persona)
        self.roles.append(persona.text_prompt)


def run(model: FakeModel, sec: float) -> SoakRecord:
    record = SoakRecord(sec)
    told: list[float] = []
    asyncio.run(soak(lambda report: model, model.slots, PERSONA, SPEECH, record, told.append))
    assert told == sorted(told)
    return record


def test_callers_stay_or_come_back_with_another_role():
    model = Counting(2)
    record = run(model, 4.0)
    assert record.seconds == 4.0
    assert record.slots == 2
    stays = [call for call in record.calls if call.name.startswith("line 0")]
    changes = [call for call in record.calls if call.name.startswith("line 1")]
    assert len(stays) == 1
    assert len(changes) >= 2
    assert len(set(model.roles)) == len(stays) + len(changes)
    assert all(call.failed == "" for call in record.calls)
    assert stays[0].answers > 10
    assert {tick.callers for tick in record.ticks} <= {1, 2}
    assert len(record.memory) >= 4
    assert [health.call for health in record.sound][-1] in {call.name for call in record.calls}


def test_what_was_seen_before_it_was_cut_short_stays():
    model, record = Counting(1), SoakRecord(60.0)

    async def cut_short() -> None:
        running = asyncio.create_task(
            soak(lambda report: model, 1, PERSONA, SPEECH, record, lambda part: None)
        )
        while len(record.ticks) < 5:
            await asyncio.sleep(0.02)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cut_short())
    [call] = record.calls
    assert call.answers >= 4
    assert call.failed == ""
    assert len(record.sound) == 1


def test_a_model_that_cannot_be_loaded_is_told():
    def fails(report: ReportLoading) -> SpeechModel:
        raise PersonaplexError("The GPU is full.")

    record = SoakRecord(10.0)
    asyncio.run(soak(fails, 1, PERSONA, SPEECH, record, lambda part: None))
    assert record.load_failed.startswith("The GPU is full.")
    assert (record.ticks, record.seconds) == ([], 0.0)


def test_a_model_that_fails_ends_calls_as_failed():
    model = Counting(1)
    model.fail_steps = 3
    record = run(model, 3.0)
    assert any(call.failed for call in record.calls)
