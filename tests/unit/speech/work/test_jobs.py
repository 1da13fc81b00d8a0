"""The queue of blocking work: fair, bounded, cancelled at any time; and the threads that do it."""

import logging
import os
import sys
import threading

import pytest

from personaplex_ui.speech.parts import SpeechPartFailed
from personaplex_ui.speech.work.jobs import BROKE, MOST_PER_OWNER, JobQueue
from personaplex_ui.speech.work.workers import LESS_URGENT_BY, Workers, less_urgently
from tests.support.speech_parts import work_off


def test_callers_take_turns_however_much_one_wants():
    queue, done = JobQueue(1), list[str]()
    for name in ("a1", "a2", "a3"):
        queue.submit(1, lambda name=name: done.append(name))
    queue.submit(2, lambda: done.append("b1"))
    queue.submit(3, lambda: done.append("c1"))
    assert work_off(queue) == 5
    assert done == ["a1", "b1", "c1", "a2", "a3"]


def test_whoever_waits_in_silence_comes_first():
    queue, done = JobQueue(1), list[str]()
    queue.submit(1, lambda: done.append("later"), urgent=False)
    queue.submit(1, lambda: done.append("now"))
    queue.submit(2, lambda: done.append("now too"))
    work_off(queue)
    assert done == ["now", "now too", "later"]


def test_only_so_many_heavy_jobs_run_together_and_light_ones_beside_them():
    queue = JobQueue(heavy_at_once=1)
    queue.submit(1, lambda: None)
    queue.submit(2, lambda: None)
    queue.submit(3, lambda: None, heavy=False)
    first, second = queue.take(wait=False), queue.take(wait=False)
    assert first is not None
    assert second is not None
    assert (first.owner, second.owner, queue.take(wait=False)) == (1, 3, None)
    queue.finished(first)
    third = queue.take(wait=False)
    assert third is not None
    assert third.owner == 2


def test_work_ahead_leaves_a_place_to_those_who_wait():
    queue = JobQueue(heavy_at_once=2)
    for owner in (1, 2):
        queue.submit(owner, lambda: None, urgent=False)
    first = queue.take(wait=False)
    assert first is not None
    assert queue.take(wait=False) is None
    waited_for = queue.submit(3, lambda: None)
    assert queue.take(wait=False) is waited_for


def test_a_cancelled_job_is_not_begun_and_leaves_its_place():
    queue, done = JobQueue(1), list[int]()
    jobs = [queue.submit(1, lambda number=number: done.append(number)) for number in range(MOST_PER_OWNER)]
    for job in jobs[1:]:
        job.cancel()
        assert not job.under_way
    another = queue.submit(1, lambda: done.append(99))
    work_off(queue)
    assert done == [0, 99]
    assert (another.done, jobs[1].done) == (True, False)


def test_a_caller_with_too_many_jobs_is_refused_and_others_are_not():
    queue = JobQueue(1)
    for _ in range(MOST_PER_OWNER):
        assert queue.submit(1, lambda: None).under_way
    refused = queue.submit(1, lambda: None)
    with pytest.raises(SpeechPartFailed, match="failed unexpectedly"):
        refused.result()
    assert queue.submit(2, lambda: None).under_way


@pytest.mark.parametrize("fault", [RuntimeError("a fault"), SystemExit(1), MemoryError()])
def test_a_fault_of_a_part_is_logged_and_becomes_a_sentence(
    fault: BaseException, caplog: pytest.LogCaptureFixture
):
    def work() -> None:
        raise fault

    queue = JobQueue(1)
    job = queue.submit(1, work)
    with caplog.at_level(logging.ERROR):
        work_off(queue)
    with pytest.raises(SpeechPartFailed) as failed:
        job.result()
    assert str(failed.value) == BROKE
    assert type(fault).__name__ in caplog.text


def test_a_failure_of_a_part_is_told_as_it_is():
    def work() -> None:
        raise SpeechPartFailed("The server says 401. Check LLM_API_KEY.")

    queue = JobQueue(1)
    job = queue.submit(1, work)
    work_off(queue)
    with pytest.raises(SpeechPartFailed, match="Check LLM_API_KEY"):
        job.result()


def test_threads_work_until_the_queue_is_closed():
    queue, here, go = JobQueue(2), threading.Barrier(3), threading.Event()
    workers = Workers(queue, 2)

    def meet() -> str:
        here.wait(10)
        go.wait(10)
        return threading.current_thread().name

    jobs = [queue.submit(owner, meet) for owner in (1, 2)]
    here.wait(10)  # both are under way at once
    waiting = queue.submit(3, meet)
    queue.close()
    go.set()
    assert workers.join(10)
    assert {job.result() for job in jobs} == {"speech-0", "speech-1"}
    with pytest.raises(SpeechPartFailed):
        waiting.result()
    with pytest.raises(SpeechPartFailed):
        queue.submit(1, lambda: None).result()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority of their own")
def test_what_is_loaded_and_worked_is_less_urgent_than_the_frames_of_calls():
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    here = priority()
    assert less_urgently(priority) == max(here, LESS_URGENT_BY)
    queue = JobQueue(1)
    workers = Workers(queue, 1)
    job = queue.submit(1, priority)
    while not job.done:
        threading.Event().wait(0.01)
    queue.close()
    assert workers.join(10)
    assert job.result() == max(here, LESS_URGENT_BY)
    assert priority() == here


def test_what_fails_less_urgently_fails_here():
    def work() -> None:
        raise SpeechPartFailed("There are no weights.")

    with pytest.raises(SpeechPartFailed, match="There are no weights"):
        less_urgently(work)
