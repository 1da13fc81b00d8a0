"""Jobs that coroutines wait for."""

import asyncio
import threading

import pytest

from personaplex_ui.speech.parts import SpeechPartFailed
from personaplex_ui.speech.work.awaiting import result_of
from personaplex_ui.speech.work.jobs import CANCELLED, JobQueue, done_already
from personaplex_ui.speech.work.workers import Workers
from tests.support.speech_parts import work_off


async def test_a_coroutine_gets_what_a_worker_finds():
    queue = JobQueue(1)
    workers = Workers(queue, 1)
    assert await result_of(queue.submit(1, lambda: 6 * 7)) == 42
    queue.close()
    assert await asyncio.to_thread(workers.join, 5)


async def test_what_is_known_already_is_not_waited_for():
    assert await result_of(done_already(1, "known")) == "known"


async def test_what_a_job_raises_arrives():
    queue = JobQueue(1)

    def fail() -> None:
        raise SpeechPartFailed("No words today.")

    waiting = asyncio.create_task(result_of(queue.submit(1, fail)))
    await asyncio.sleep(0)
    work_off(queue)
    with pytest.raises(SpeechPartFailed, match="No words today"):
        await waiting


async def test_who_stops_waiting_cancels_the_job():
    queue = JobQueue(1)
    job = queue.submit(1, lambda: None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await result_of(job)
    assert job.cancelled
    assert work_off(queue) == 0


async def test_a_job_that_somebody_else_cancels_is_not_waited_for():
    job = JobQueue(1).submit(1, lambda: None)
    waiting = asyncio.create_task(result_of(job))
    await asyncio.sleep(0)
    job.cancel()
    with pytest.raises(SpeechPartFailed, match=CANCELLED):
        await waiting


async def test_a_queue_that_closes_lets_its_waiters_go():
    queue = JobQueue(1)
    waiting = asyncio.create_task(result_of(queue.submit(1, lambda: None)))
    await asyncio.sleep(0)
    queue.close()
    with pytest.raises(SpeechPartFailed, match=CANCELLED):
        await waiting


def test_a_loop_that_has_ended_does_no_harm():
    """The worker of a job whose call, and loop, are gone goes on to the next one."""
    queue, began, go_on = JobQueue(1), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        assert go_on.wait(5)

    job = queue.submit(1, work)
    workers = Workers(queue, 1)

    async def wait_a_moment() -> None:
        asyncio.create_task(result_of(job))  # noqa: RUF006  it is to be lost
        await asyncio.to_thread(began.wait, 5)

    asyncio.run(wait_a_moment())
    go_on.set()
    after = queue.submit(1, lambda: "next")
    for _ in range(500):
        if after.done:
            break
        threading.Event().wait(0.01)
    assert after.result() == "next"
    queue.close()
    assert workers.join(5)
