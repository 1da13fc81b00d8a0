"""The words of one caller: recognised besides the call, in their order, and dropped rather than late."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAME_SEC, Samples, pad_to_frames
from personaplex_ui.captions.word_finder import BEHIND, MOST_WAITING, TOO_MUCH, CallWordFinder
from personaplex_ui.logs.call_context import current_call, enter_call
from personaplex_ui.speech.loading import Loaded
from personaplex_ui.speech.parts import Recognised, Recogniser
from personaplex_ui.speech.work.jobs import JobQueue
from personaplex_ui.speech.work.workers import Workers
from tests.support.sounds import tone
from tests.support.speech_parts import Listed, pause, says, work_off

ROLE = "You are Ann of the bakery."


@dataclass
class Said:
    """A recogniser that says always the same."""

    text: str

    def recognise(self, samples: Samples, context: str = "", language: str = "") -> Recognised:
        return Recognised(self.text)


@dataclass
class Rig:
    """One caller; the jobs are done by ``work``, in the test's thread."""

    recogniser: Recogniser = field(default_factory=Listed)
    told: list[tuple[str, float, float]] = field(default_factory=list[tuple[str, float, float]])
    now: int = 0

    def __post_init__(self) -> None:
        self.queue = JobQueue(1)
        loaded = Loaded(self.recogniser, "a test")
        self.finder = CallWordFinder(loaded, self.queue, ROLE, self.tell)

    def tell(self, text: str, start_sec: float, end_sec: float) -> None:
        self.told.append((text, start_sec, end_sec))

    def hear(self, *sounds: Samples) -> None:
        for frame in pad_to_frames(np.concatenate(sounds)).reshape(-1, FRAME_SAMPLES):
            self.finder.hear(frame, self.now * FRAME_SEC)
            self.now += 1

    async def work(self) -> int:
        """Until nothing is left to do."""
        done = 0
        for _ in range(20):
            await asyncio.sleep(0)
            done += work_off(self.queue)
        return done

    @property
    def words(self) -> list[str]:
        return [text for text, _, _ in self.told]


async def test_words_come_in_their_order_with_their_times():
    rig = Rig(recogniser := Listed())
    rig.hear(pause(0.8), says(300), pause(0.8), says(500), pause(0.8))
    assert rig.told == []
    await rig.work()
    assert rig.words == [" What do you sell?", " Tell me a story."]
    assert [time for _, *times in rig.told for time in times] == pytest.approx(
        [0.8, 2, 2.8, 4], abs=FRAME_SEC
    )
    assert recogniser.contexts == [ROLE] * 2


async def test_silence_and_what_is_no_speech_add_nothing():
    rig = Rig()
    rig.hear(pause(2.0), tone(0.06), pause(1.0))
    assert await rig.work() == 0
    rig.hear(says(800), pause(1.0))  # a tone that says nothing: music
    assert await rig.work() == 1
    assert (rig.told, rig.finder.dropped) == ([], 0)


async def test_who_speaks_as_the_call_ends_is_heard_and_nothing_after_that():
    rig = Rig()
    rig.hear(says(400))
    rig.finder.finish()
    rig.finder.finish()
    rig.hear(says(300), pause(1.0))
    await rig.work()
    assert rig.words == [" When do you open?"]


async def test_a_recogniser_that_is_behind_loses_the_oldest_and_they_are_counted(
    caplog: pytest.LogCaptureFixture,
):
    rig = Rig()
    for number in range(MOST_WAITING + 4):
        rig.hear(says((300, 400, 500, 600)[number % 4]), pause(0.8))
        await asyncio.sleep(0)  # the first is being recognised, as nobody gets anything done
    assert rig.finder.dropped == 3
    await rig.work()
    assert len(rig.told) == 1 + MOST_WAITING
    assert rig.words[-1] == " And what does it cost?"
    assert [record.message for record in caplog.records] == [f"Captions: {BEHIND}"]


async def test_a_recogniser_that_fails_is_told_once_and_asked_again(caplog: pytest.LogCaptureFixture):
    rig = Rig(recogniser := Listed(failing="The server that recognises speech cannot be reached."))
    for _ in range(3):
        rig.hear(says(300), pause(0.8))
        await rig.work()
    recogniser.failing = ""
    rig.hear(says(300), pause(0.8))
    await rig.work()
    assert (rig.finder.dropped, rig.words) == (3, [" What do you sell?"])
    assert len(caplog.records) == 1
    assert "cannot be reached" in caplog.text


@pytest.mark.parametrize(("text", "taken"), [("word " * 2_000_000, False), ("word " * 20, True), ("", False)])
async def test_more_text_than_anybody_can_say_is_left_out(
    text: str, taken: bool, caplog: pytest.LogCaptureFixture
):
    rig = Rig(Said(text.strip()))
    rig.hear(says(300), pause(0.8))
    await rig.work()
    assert (bool(rig.told), rig.finder.dropped) == (taken, len(text) > 1_000)
    assert (TOO_MUCH in caplog.text) == (len(text) > 1_000)


async def test_what_may_be_made_up_is_not_told():
    class Doubting:
        def recognise(self, samples: Samples, context: str = "", language: str = "") -> Recognised:
            return Recognised("Guten Tag, it must again be the reason.", "en", doubtful=True)

    rig = Rig(Doubting())
    rig.hear(says(300), pause(0.8))
    await rig.work()
    assert (rig.told, rig.finder.dropped) == ([], 0)


async def test_a_recogniser_that_hangs_delays_nobody():
    going = threading.Event()

    class Hanging:
        def recognise(self, samples: Samples, context: str = "", language: str = "") -> Recognised:
            going.wait(20)
            return Recognised("too late")

    queue, told = JobQueue(1), list[str]()
    workers = Workers(queue, 1)

    def tell(text: str, start_sec: float, end_sec: float) -> None:
        told.append(text)

    finder = CallWordFinder(Loaded(Hanging(), "a test"), queue, "", tell)
    for number, frame in enumerate(
        pad_to_frames(np.tile(np.concatenate([says(300), pause(0.8)]), 10)).reshape(-1, FRAME_SAMPLES)
    ):
        finder.hear(frame, number * FRAME_SEC)
        await asyncio.sleep(0)
    assert finder.dropped == 10 - 1 - MOST_WAITING
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await finder.settled()
    finder.close()
    async with asyncio.timeout(5):
        await finder.settled()
    going.set()
    queue.close()
    assert await asyncio.to_thread(workers.join, 5)
    await asyncio.sleep(0)
    assert told == []


async def test_settled_waits_for_a_pause_that_may_be_the_end_and_for_the_words():
    rig = Rig()
    async with asyncio.timeout(5):
        await rig.finder.settled()
        rig.hear(says(300))
        await rig.finder.settled()  # whoever speaks on is not waited for
        rig.hear(pause(0.24))
        waiting = asyncio.create_task(rig.finder.settled())
        await asyncio.sleep(0)
        assert not waiting.done()
        rig.hear(pause(0.4))
        await asyncio.sleep(0)
        assert not waiting.done()
        await rig.work()
        await waiting
        assert rig.words == [" What do you sell?"]
        rig.hear(says(300), pause(0.24))
        waiting = asyncio.create_task(rig.finder.settled())
        await asyncio.sleep(0)
        rig.hear(says(300))  # it goes on
        await waiting


async def test_nobody_wants_more_words():
    rig = Rig()
    rig.hear(says(300), pause(0.8), says(400), pause(0.8))
    await asyncio.sleep(0)
    rig.finder.close()
    rig.finder.close()
    rig.finder.finish()
    assert await rig.work() == 0
    assert rig.told == []


async def test_the_log_names_the_call(caplog: pytest.LogCaptureFixture):
    """Sound comes in tasks that belong to no call."""
    seen: list[str] = []

    class Watching(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(current_call.get())

    async def of_call(make: Callable[[], Rig]) -> Rig:
        enter_call("abcdefgh")
        return make()

    watching = Watching()
    logger = logging.getLogger("personaplex_ui.captions.word_finder")
    logger.addHandler(watching)
    rig = await asyncio.create_task(of_call(lambda: Rig(Listed(failing="No."))))
    rig.hear(says(300), pause(0.8))
    await rig.work()
    logger.removeHandler(watching)
    assert seen == ["abcdef"]
    assert current_call.get() == ""
