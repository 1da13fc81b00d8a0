"""The cascade with its threads in the engine: a clip waits for them, a live call never does."""

import asyncio
import gc
import threading
import weakref
from pathlib import Path

import numpy as np

from personaplex_ui.audio.frames import Samples, silent_frame
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.channels.clips.answer import ClipAnswer, converse
from personaplex_ui.engine.speech_model import Answer, Persona, Sampling
from personaplex_ui.errors import PersonaplexError
from personaplex_ui.models.cascade.load import cascade_of
from personaplex_ui.models.cascade.model import CascadeModel
from personaplex_ui.models.cascade.parts import Parts
from personaplex_ui.speech.work.jobs import JobQueue
from personaplex_ui.speech.work.workers import Workers
from tests.support.cascade_rig import CascadeRig, text_of
from tests.support.running import running_call_manager, serving_model, until
from tests.support.speech_parts import Humming, Listed, Scripted, pause, says

SETTINGS = CallSettings(Persona("NATF2", "Be kind."), Sampling(seed=1))
CLIP = np.concatenate([pause(1.6), says(300), pause(3.0), says(400), pause(3.2)])


class Slow(Humming):
    """Takes longer over a sentence than a clip takes over a second."""

    def synthesise(self, text: str, voice: str) -> Samples:
        threading.Event().wait(0.15)
        return super().synthesise(text, voice)


def cascade(synthesiser: Humming, greeting: str = "Hello.", threads: int = 2) -> tuple[CascadeModel, Workers]:
    queue = JobQueue(threads)
    parts = Parts(Listed(), Scripted(greeting), synthesiser)
    return CascadeModel(4, parts, queue), Workers(queue, threads)


async def answer_of(model: CascadeModel, folder: Path) -> ClipAnswer:
    async with (
        serving_model(model) as engine,
        running_call_manager(engine, folder / "recordings") as call_manager,
    ):
        return await converse(CLIP, SETTINGS, call_manager)


async def test_a_clip_gets_the_same_answer_however_slow_the_parts_are(tmp_path: Path):
    fast, slow = cascade(Humming()), cascade(Slow())
    in_place = CascadeRig(replier=Scripted("Hello."))
    expected = in_place.hears(CLIP)
    assert text_of(expected).count("You said") == 2
    told: list[tuple[str, float]] = []
    for model, _ in (fast, slow):
        answer = await answer_of(model, tmp_path)
        said = [line for line in answer.utterances if line.speaker == "assistant"]
        assert "".join(f" {line.text}" for line in said) == text_of(expected)
        heard = [(line.text, line.start_sec) for line in answer.utterances if line.speaker == "caller"]
        assert [text for text, _ in heard] == ["What do you sell?", "When do you open?"]
        assert heard == told or not told
        told = heard
        sound = np.concatenate([each.frame for each in expected])
        # One frame more or less at each stage would be a sentence at another moment.
        assert np.array_equal(answer.samples, sound[: len(answer.samples)])


async def test_a_part_that_hangs_holds_up_no_frame_of_a_live_call():
    hanging = Humming()
    hanging.going.clear()
    model, _ = cascade(hanging)
    said: list[Answer | PersonaplexError] = []
    async with serving_model(model) as engine:
        slot = await engine.take_slot(
            0, SETTINGS.persona, SETTINGS.sampling, said.append, lambda progress: None
        )
        for number in range(25):
            slot.hear(silent_frame())
            await until(lambda number=number: len(said) > number)
        assert not any(isinstance(answer, PersonaplexError) for answer in said)
        hanging.going.set()
        before = len(said)
        while not any(isinstance(answer, Answer) and answer.text for answer in said[before:]):
            slot.hear(silent_frame())
            await asyncio.sleep(0.08)
        await slot.leave()


def test_a_model_that_nobody_holds_lets_its_own_threads_go():
    before = set(threading.enumerate())
    model = cascade_of(Parts(Listed(), Scripted("Hello."), Humming()), 4)
    workers = set(threading.enumerate()) - before
    assert workers
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    for worker in workers:
        worker.join(10)
        assert not worker.is_alive()
