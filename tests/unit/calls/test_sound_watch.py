"""The watch over calls: counts and warns once a call, by kind, and drops what it cannot keep up with."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame
from personaplex_ui.audio.sound_health import SoundFault, SoundHealth
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.sound_watch import MOST_WAITING, SoundWatch
from personaplex_ui.calls.store import CallStore
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.speech_model import Persona
from tests.support.fake_model import FakeModel
from tests.support.heard_sounds import frames, speech, square, white_noise
from tests.support.running import until


def test_each_fault_is_counted_once_a_call_and_the_log_is_told_once(caplog: pytest.LogCaptureFixture):
    watch = SoundWatch()
    bad, good = watch.watch("a" * 32), watch.watch("b" * 32)
    for _ in range(2):
        for frame in [*frames(white_noise(6.0)), *frames(square(8.0))]:
            bad.hear(frame)
            watch.look()
    for frame in frames(speech()):
        good.hear(frame)
        watch.look()
    counts = watch.counts
    assert counts[SoundFault.NOISE] == counts[SoundFault.CLIPPED] == 1
    assert counts[SoundFault.SILENT] == counts[SoundFault.BROKEN] == 0
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "it is noise" in record.message


def test_words_again_and_again_are_a_fault_unless_the_caller_speaks_between():
    for speaks, expected in ((False, 1), (True, 0)):
        watch = SoundWatch()
        sound = watch.watch("a" * 32)
        for _ in range(8):
            for piece in (" I", " cannot", " help", " you", " with", " th", "at."):
                sound.say(piece)
            for level_dbfs in (-20.0,) * 5 * speaks + (-70.0,) * 5:
                sound.hear_caller(level_dbfs)
            watch.look()
        assert watch.counts[SoundFault.REPEATS] == expected


def test_what_is_too_much_is_dropped_and_a_call_that_is_over_is_forgotten():
    watch = SoundWatch()
    sound = watch.watch("a" * 32)
    for _ in range(10 * MOST_WAITING):
        sound.hear(np.zeros(FRAME_SAMPLES, dtype=np.float32))
    assert len(sound._waiting) == MOST_WAITING  # pyright: ignore[reportPrivateUsage]
    for frame in frames(white_noise(4.0)):
        sound.hear(frame)
    sound.close()
    watch.look()
    assert watch.counts[SoundFault.NOISE] == 1, "the end is judged, too"
    assert not watch._watched  # pyright: ignore[reportPrivateUsage]


def test_a_fault_of_the_judge_costs_nobody_else_the_watch(caplog: pytest.LogCaptureFixture):
    watch = SoundWatch()
    odd, other = watch.watch("a" * 32), watch.watch("b" * 32)
    odd.hear(np.zeros(7, dtype=np.float32) + 0.5)  # no frame
    for frame in frames(white_noise(4.0)):
        other.hear(frame)
    watch.look()
    watch.look()
    assert watch.counts[SoundFault.NOISE] == 1
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[CallManager]:
    # The fake model repeats each frame, so its caller makes the noise.
    engine = Engine(lambda report: FakeModel(slots=2), max_calls=2, max_waiting=2)
    manager = CallManager(engine, CallStore(tmp_path, 3600.0, time.time), 600.0)
    await engine.start()
    await manager.start()
    await until(lambda: engine.state is EngineState.READY)
    yield manager
    await manager.close()
    await engine.close()


async def test_a_live_call_is_watched_in_a_thread_of_its_own_and_goes_on(
    manager: CallManager, monkeypatch: pytest.MonkeyPatch
):
    judged_in: set[str] = set()
    hear = SoundHealth.hear

    def noted(self: SoundHealth, frame: Frame) -> None:
        judged_in.add(threading.current_thread().name)
        hear(self, frame)

    monkeypatch.setattr(SoundHealth, "hear", noted)
    call = manager.open(CallSettings(Persona("NATF2", "")))
    await call.live.wait()
    noise = frames(white_noise(4.0))
    async with asyncio.timeout(20.0):
        number = 0
        while not manager.sound_watch.counts[SoundFault.NOISE]:
            call.hear(noise[number % len(noise)])
            await call.next_answer(0.2)
            number += 1
    assert judged_in == {"sound-watch"}
    assert not call.over.is_set(), "a call is never ended for its sound"
    call.hang_up("You hung up.")
    await manager.ended(call)
    await until(lambda: not manager.sound_watch._watched)  # pyright: ignore[reportPrivateUsage]
