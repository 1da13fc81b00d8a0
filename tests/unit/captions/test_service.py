"""Where the callers' words come from, by setting and engine; and that calls never wait for it."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.captions import CaptionsReport
from personaplex_ui.captions import service as service_module
from personaplex_ui.captions.service import BROKEN, NOT_LOADED, CaptionService
from personaplex_ui.config.settings import CaptionsChoice
from personaplex_ui.engine.engine import Engine
from personaplex_ui.speech.loading import Loaded, Report
from personaplex_ui.speech.parts import Recognised, Recogniser
from personaplex_ui.speech.weights.errors import WeightsMissing
from personaplex_ui.speech.work.jobs import JobQueue
from personaplex_ui.speech.work.workers import Workers
from tests.support.fake_model import FakeModel
from tests.support.running import running_engine, until
from tests.support.speech_parts import Listed, pause, says

AUTO, WHISPER, KYUTAI, OFF = (
    CaptionsChoice.AUTO,
    CaptionsChoice.WHISPER,
    CaptionsChoice.KYUTAI,
    CaptionsChoice.OFF,
)


class Hearing(FakeModel):
    """An engine that hears words."""

    def __init__(self, heard_by: str) -> None:
        super().__init__()
        self.heard_by = heard_by


class Parts:
    """``failing``: what ``recogniser`` raises; ``going`` cleared: it takes until that is set."""

    def __init__(self, recogniser: Recogniser | None = None) -> None:
        self.queue = JobQueue(1)
        self.made = 0
        self.failing: Exception | None = None
        self.going = threading.Event()
        self.going.set()
        self._workers = Workers(self.queue, 1)
        self._recogniser = recogniser or Listed()

    def recogniser(self, report: Report) -> Loaded[Recogniser]:
        self.made += 1
        assert self.going.wait(10)
        if self.failing is not None:
            raise self.failing
        return Loaded(self._recogniser, "Whisper tiny.en")


@asynccontextmanager
async def service_of(
    choice: CaptionsChoice, model: FakeModel, parts: Parts
) -> AsyncGenerator[CaptionService]:
    async with running_engine(model, 1, 1) as engine:
        service = CaptionService(choice, engine, parts)  # pyright: ignore[reportArgumentType]
        running = asyncio.create_task(service.run())
        yield service
        running.cancel()
        parts.going.set()
        parts.queue.close()


def finds(service: CaptionService, model: FakeModel) -> str:
    """Who finds the words of a call that begins now: the engine, a worker, or nobody."""
    own, finder = (
        service.takes_own_words(model),
        service.finder_for(model, "", lambda text, start_sec, end_sec: None),
    )
    assert not (own and finder)
    return "engine" if own else "worker" if finder else "nobody"


@pytest.mark.parametrize(
    ("choice", "heard_by", "expected", "told"),
    [
        (AUTO, "", "worker", "Whisper tiny.en"),
        (AUTO, "Kyutai's STT 1B", "engine", "Kyutai's STT 1B"),
        (AUTO, "Whisper tiny.en", "engine", "Whisper tiny.en"),
        (WHISPER, "", "worker", "Whisper tiny.en"),
        (WHISPER, "Kyutai's STT 1B", "worker", "Whisper tiny.en"),
        (WHISPER, "Whisper tiny.en", "engine", "Whisper tiny.en"),
        (KYUTAI, "Kyutai's STT 1B", "engine", "Kyutai's STT 1B"),
        (KYUTAI, "Whisper tiny.en", "nobody", "CAPTIONS"),
        (KYUTAI, "", "nobody", "CAPTIONS"),
        (OFF, "", "nobody", ""),
        (OFF, "Whisper tiny.en", "nobody", ""),
    ],
)
async def test_the_setting_and_the_engine_decide(
    choice: CaptionsChoice, heard_by: str, expected: str, told: str
):
    model, parts = Hearing(heard_by) if heard_by else FakeModel(), Parts()
    needs = choice in (AUTO, WHISPER) and not (choice is AUTO and heard_by)
    async with service_of(choice, model, parts) as service:
        await until(lambda: parts.made == 1 and service.report(model).message == "" if needs else True)
        await asyncio.sleep(0.02)
        assert finds(service, model) == expected
        report = service.report(model)
        assert told in (report.found_by or report.message)
        assert bool(report.message) == (choice is KYUTAI and expected == "nobody")
        assert parts.made == needs


async def test_calls_do_not_wait_until_it_is_loaded():
    parts, model = Parts(), FakeModel()
    parts.going.clear()
    async with service_of(AUTO, model, parts) as service:
        await until(lambda: parts.made == 1)
        assert finds(service, model) == "nobody"
        assert service.report(model) == CaptionsReport("", NOT_LOADED)
        parts.going.set()
        await until(lambda: finds(service, model) == "worker")


@pytest.mark.parametrize(
    ("failing", "sentence"),
    [
        (WeightsMissing("Nothing can be fetched here."), "Nothing can be fetched here."),
        (ImportError("no ctranslate2"), BROKEN),
    ],
)
async def test_where_it_cannot_be_had_there_is_a_sentence_and_it_is_tried_again(
    failing: Exception, sentence: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(service_module, "TRY_AGAIN_AFTER_SEC", 0.02)
    parts, model = Parts(), FakeModel()
    parts.failing = failing
    async with service_of(AUTO, model, parts) as service:
        await until(lambda: parts.made >= 2)
        assert finds(service, model) == "nobody"
        assert sentence in service.report(model).message
        assert len([record for record in caplog.records if sentence in record.message]) == 1
        parts.failing = None
        await until(lambda: finds(service, model) == "worker")
        assert service.report(model) == CaptionsReport("Whisper tiny.en")


async def test_a_server_that_ends_while_it_loads_does_not_wait():
    parts = Parts()
    parts.going.clear()
    async with asyncio.timeout(5), service_of(AUTO, FakeModel(), parts):
        await until(lambda: parts.made == 1)


# Clips -----------------------------------------------------------------------------------------------


class Told:
    """What is told of a clip."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def __call__(self, text: str, start_sec: float, end_sec: float) -> None:
        self.words.append(text)


def ready(recogniser: Recogniser | None = None) -> tuple[CaptionService, Parts]:
    parts = Parts(recogniser)
    engine = Engine(lambda report: FakeModel(), 1)
    service = CaptionService(AUTO, engine, parts)  # pyright: ignore[reportArgumentType]
    service._recogniser = service._make()  # pyright: ignore[reportPrivateUsage]
    return service, parts


async def test_a_clip_gets_all_its_words_however_many():
    service, parts = ready()
    told = Told()
    clip = np.tile(np.concatenate([says(300, 0.6), pause(0.7)]), 20)
    await service.find_in_clip(FakeModel(), clip, "", told, 20.0)
    assert told.words == [" What do you sell?"] * 20
    parts.queue.close()


async def test_a_clip_does_not_wait_for_a_recogniser_that_hangs(caplog: pytest.LogCaptureFixture):
    going = threading.Event()

    class Hanging:
        def recognise(self, samples: Samples, context: str = "", language: str = "") -> Recognised:
            going.wait(20)
            return Recognised("late")

    service, parts = ready(Hanging())
    told = Told()
    await service.find_in_clip(FakeModel(), says(300), "", told, 0.05)
    going.set()
    parts.queue.close()
    assert told.words == []
    assert "not all recognised" in caplog.text


async def test_the_words_of_an_engine_that_hears_them_are_not_looked_for_twice():
    service, parts = ready(listed := Listed())
    await service.find_in_clip(Hearing("Kyutai's STT 1B"), says(300), "", Told(), 5.0)
    assert listed.heard == []
    parts.queue.close()
