"""The browser's handler as FastRTC drives it, with a made-up data channel and no browser."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from aiortc import InvalidStateError
from fastrtc import CloseStream
from fastrtc.utils import Context

from personaplex_ui.audio.frames import FRAME_SEC, SAMPLE_RATE_HZ
from personaplex_ui.audio.pacing import MAX_AHEAD_SEC, Pacer
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.settings import CallSettings, check_sampling
from personaplex_ui.calls.snapshot import Phase
from personaplex_ui.channels.browser import handler as webrtc
from personaplex_ui.channels.browser.handler import BrowserCall, BrowserCalls
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.speech_model import Persona
from tests.support.fake_model import FakeModel
from tests.support.running import running_call_manager, until

SETTINGS = CallSettings(Persona("NATF2", "Be kind."), record=False)
INPUTS: list[object] = ["NATF2", 0.7]


def read_settings(values: Sequence[object]) -> tuple[CallSettings, str, str]:
    """The page of these tests has two inputs: the voice and the text temperature."""
    voice, temperature = values
    sampling = check_sampling(text_temperature=temperature)
    return CallSettings(Persona(str(voice), "Be kind."), sampling, record=False), "an owner", ""


class Channel:
    """A data channel that keeps the kinds of messages sent; ``closed``, it raises as aiortc's does."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.closed = False

    def send(self, message: str) -> None:
        if self.closed:
            raise InvalidStateError
        self.sent.append(json.loads(message)["type"])


class Track:
    """Stands for FastRTC's track, which the handler knows by its ``clear_queue`` only."""

    def __init__(self) -> None:
        self.stopped = 0
        self.context = Context(webrtc_id="one")

    def clear_queue(self) -> None:
        pass

    def stop(self) -> None:
        self.stopped += 1


async def closes_nothing(webrtc_id: str) -> None:
    pass


class Caller:
    """A browser: its handler, its channel, and its calls to the handler as FastRTC makes them."""

    def __init__(
        self, calls: BrowserCalls, webrtc_id: str = "one", prototype: BrowserCall | None = None
    ) -> None:
        self.id = webrtc_id
        self.calls = calls
        self.channel = Channel()
        self.peers_closed: list[str] = []
        self.handler = (prototype or BrowserCall(calls, read_settings, self.close_peer)).copy()
        self.handler.set_channel(self.channel)

    async def close_peer(self, webrtc_id: str) -> None:
        self.peers_closed.append(webrtc_id)

    async def start(self, inputs: list[object] = INPUTS) -> None:
        starting = asyncio.create_task(self.handler.start_up())
        await until(lambda: "send_input" in self.channel.sent)
        self.handler.set_args([self.id, *inputs])
        await starting

    async def start_live(self) -> LiveCall:
        await self.start()
        call = self.call
        await call.live.wait()
        return call

    @property
    def call(self) -> LiveCall:
        call = self.calls.of(self.id).call
        assert call is not None
        return call

    async def say(self, *chunks: npt.NDArray[np.int16]) -> None:
        for chunk in chunks:
            await self.handler.receive((SAMPLE_RATE_HZ, chunk))

    async def hear(self) -> npt.NDArray[np.int16]:
        sound = await self.handler.emit()
        assert isinstance(sound, tuple)
        rate_hz, samples = sound
        assert rate_hz == SAMPLE_RATE_HZ
        assert samples.dtype == np.int16
        assert samples.ndim == 2
        assert len(samples) == 1
        return samples[0]

    async def hear_answer(self) -> npt.NDArray[np.int16]:
        """The next sound that is not silence."""
        async with asyncio.timeout(10.0):
            while not np.any(samples := await self.hear()):
                pass
        return samples

    async def hear_end(self) -> str:
        async with asyncio.timeout(10.0):
            while not isinstance(sound := await self.handler.emit(), CloseStream):
                assert sound is not None, "it closed without a word"
        return sound.msg


@pytest.fixture
async def calls(engine: Engine, tmp_path: Path) -> AsyncIterator[BrowserCalls]:
    async with running_call_manager(engine, tmp_path) as call_manager:
        yield BrowserCalls(call_manager)


@pytest.fixture
def caller(calls: BrowserCalls) -> Caller:
    return Caller(calls)


async def all_is_free(calls: BrowserCalls) -> None:
    await until(lambda: not calls.call_manager.calls)
    lines = calls.call_manager.engine.slots
    assert (lines.free, lines.waiting) == (lines.capacity, 0)


def ramp(samples: int = 1_920) -> npt.NDArray[np.int16]:
    return np.linspace(-20_000, 30_000, samples).astype(np.int16)


# Begin -----------------------------------------------------------------------------------------------


async def test_it_asks_the_page_for_its_settings_and_opens_a_call_of_its_owner_with_them(
    caller: Caller, calls: BrowserCalls
):
    await caller.start(["VARM3", 1.2])
    assert caller.channel.sent == ["send_input", "fetch_output"]
    assert caller.call.settings.persona.voice == "VARM3"
    assert caller.call.settings.sampling.text_temperature == 1.2
    call = caller.call
    assert list(calls.call_manager.calls.values()) == [call]
    await call.live.wait()
    await caller.handler.shutdown()
    await calls.call_manager.ended(call)
    assert [kept.call_id for kept in calls.call_manager.store.calls_of("an owner")] == [call.call_id]


async def test_a_page_that_sends_no_settings_is_told_so_and_holds_nothing(
    caller: Caller, calls: BrowserCalls, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(webrtc, "ARGUMENTS_WITHIN_SEC", 0.05)
    await caller.handler.start_up()
    assert "did not send its settings" in await caller.hear_end()
    assert calls.call_manager.calls == {}


async def test_settings_that_cannot_be_used_are_refused_with_the_sentence(
    caller: Caller, calls: BrowserCalls
):
    await caller.start(["NATF2", 0])
    assert caller.channel.sent == ["send_input", "fetch_output"]
    assert "text temperature" in calls.of("one").refusal
    assert calls.of("one").call is None
    assert await caller.hear_end() == calls.of("one").refusal
    assert calls.call_manager.calls == {}


# Sound -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 480), (480,), (1, 960), (960,), (1, 1_920), (1, 240)])
async def test_chunks_of_any_shape_are_heard_whole_and_in_order(caller: Caller, shape: tuple[int, ...]):
    await caller.start_live()
    sound = ramp()
    await caller.say(*sound.reshape(-1, *shape))
    answer = await caller.hear_answer()
    assert np.max(np.abs(answer.astype(int) - sound)) <= 1


async def test_the_loudest_sound_stays_in_range(caller: Caller, monkeypatch: pytest.MonkeyPatch):
    call = await caller.start_live()
    too_loud = np.array([-3.0, -1.0, 0.0, 1.0, 3.0], dtype=np.float32)

    async def next_answer(timeout_sec: float | None = None) -> npt.NDArray[np.float32]:
        return too_loud

    monkeypatch.setattr(call, "next_answer", next_answer)
    assert (await caller.hear()).tolist() == [-32_767, -32_767, 0, 32_767, 32_767]


async def test_before_the_call_is_live_there_is_silence_in_small_pieces(calls: BrowserCalls):
    held = [Caller(calls, f"caller {number}") for number in range(2)]
    for caller in held:
        await caller.start_live()
    waiting = Caller(calls, "waiting")
    before_start = [await waiting.hear() for _ in range(3)]
    await waiting.start()
    assert waiting.call.phase is Phase.WAITING
    await waiting.say(ramp())
    while_waiting = [await waiting.hear() for _ in range(5)]
    for samples in before_start + while_waiting:
        assert len(samples) == 480
        assert not np.any(samples)


async def test_answers_that_lie_ready_are_sent_at_the_pace_they_are_heard(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
):
    call = await caller.start_live()

    async def next_answer(timeout_sec: float | None = None) -> npt.NDArray[np.float32]:
        return np.full(1_920, 0.25, dtype=np.float32)

    monkeypatch.setattr(call, "next_answer", next_answer)
    started = time.monotonic()
    for number in range(6):
        await caller.hear()
        elapsed_sec = time.monotonic() - started
        assert number * FRAME_SEC - elapsed_sec <= MAX_AHEAD_SEC + 0.001


async def test_after_a_stall_quiet_sound_is_shortened_and_loud_sound_never(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
):
    def lagging(pacer: Pacer, now: float, waited_sec: float) -> float:
        return 0.04

    monkeypatch.setattr(Pacer, "spare_sec", lagging)
    await caller.start_live()
    await caller.say(ramp())
    assert len(await caller.hear_answer()) == 1_920
    await caller.say(ramp() // 1_000)
    assert len(await caller.hear_answer()) == 960


# End -------------------------------------------------------------------------------------------------


async def test_the_end_of_a_call_is_told_once_and_then_nothing_comes(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(webrtc, "GOODBYE_ARRIVES_SEC", 0.01)
    call = await caller.start_live()
    call.hang_up("Calls end after 10 minutes.")
    assert await caller.hear_end() == "Calls end after 10 minutes."
    assert [await caller.handler.emit() for _ in range(3)] == [None, None, None]


async def test_answers_that_lie_ready_at_the_end_do_not_hide_it(caller: Caller):
    call = await caller.start_live()
    await caller.say(ramp())
    await until(lambda: bool(call.snapshot().utterances))
    call.hang_up("Goodbye.")
    assert await caller.hear_end() == "Goodbye."


async def test_after_the_end_it_does_not_answer_at_once_but_stops_the_track(
    calls: BrowserCalls, monkeypatch: pytest.MonkeyPatch
):
    """FastRTC asks again at once for ever: answered at once, that would burn a core."""
    caller, track = Caller(calls), Track()
    caller.handler._clear_queue = track.clear_queue  # pyright: ignore[reportPrivateUsage]  # as FastRTC does
    call = await caller.start_live()
    call.hang_up("Goodbye.")
    await caller.hear_end()
    monkeypatch.setattr(webrtc, "GOODBYE_ARRIVES_SEC", 60.0)
    asking = asyncio.ensure_future(caller.handler.emit())
    await asyncio.sleep(0.05)
    assert not asking.done()
    asking.cancel()
    assert (track.stopped, caller.peers_closed) == (0, [])
    monkeypatch.setattr(webrtc, "GOODBYE_ARRIVES_SEC", 0.01)
    assert await caller.handler.emit() is None
    assert (track.stopped, caller.peers_closed) == (1, ["one"])


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.PREPARING, Phase.LIVE])
async def test_a_closed_connection_hangs_up_in_any_phase(
    caller: Caller, calls: BrowserCalls, model: FakeModel, phase: Phase
):
    others = [Caller(calls, f"caller {number}") for number in range(2 if phase is Phase.WAITING else 0)]
    for other in others:
        await other.start_live()
    model.chunks = 10**9 if phase is Phase.PREPARING else 1
    await caller.start()
    await until(lambda: caller.call.phase is phase)
    await caller.handler.shutdown()
    await caller.handler.shutdown()
    await calls.call_manager.ended(caller.call)
    assert caller.call.reason == "You hung up."
    assert list(calls.call_manager.calls.values()) == [other.call for other in others]


async def test_a_connection_closed_before_the_settings_came_opens_no_call(
    caller: Caller, calls: BrowserCalls
):
    starting = asyncio.create_task(caller.handler.start_up())
    await until(lambda: "send_input" in caller.channel.sent)
    await caller.handler.shutdown()
    caller.handler.set_args([caller.id, *INPUTS])
    await starting
    assert calls.of("one").call is None
    assert calls.call_manager.calls == {}


# Faults ----------------------------------------------------------------------------------------------


Fail = Callable[["Caller", pytest.MonkeyPatch, FakeModel], Awaitable[None]]


def broken(*args: object) -> None:
    raise RuntimeError("a secret of ours")


async def fail_to_read(caller: Caller, patch: pytest.MonkeyPatch, model: FakeModel) -> None:
    await caller.start(["too", "many", "values"])


async def fail_to_begin(caller: Caller, patch: pytest.MonkeyPatch, model: FakeModel) -> None:
    patch.setattr(webrtc, "enter_call", broken)
    await caller.start()


async def fail_to_send(caller: Caller, patch: pytest.MonkeyPatch, model: FakeModel) -> None:
    patch.setattr(await caller.start_live(), "next_answer", broken)


async def fail_to_receive(caller: Caller, patch: pytest.MonkeyPatch, model: FakeModel) -> None:
    patch.setattr(await caller.start_live(), "hear", broken)
    await caller.say(ramp())


async def fail_in_the_model(caller: Caller, patch: pytest.MonkeyPatch, model: FakeModel) -> None:
    await caller.start_live()
    model.fail_steps = 1
    await caller.say(ramp())


@pytest.mark.parametrize(
    ("fail", "words"),
    [
        (fail_to_read, "failed on our side"),
        (fail_to_begin, "failed on our side"),
        (fail_to_send, "failed on our side"),
        (fail_to_receive, "failed on our side"),
        (fail_in_the_model, "call again"),
    ],
)
async def test_a_fault_ends_the_call_with_a_sentence(
    caller: Caller,
    calls: BrowserCalls,
    monkeypatch: pytest.MonkeyPatch,
    model: FakeModel,
    fail: Fail,
    words: str,
):
    await fail(caller, monkeypatch, model)
    sentence = await caller.hear_end()
    assert words in sentence
    assert "secret" not in sentence
    await all_is_free(calls)


@pytest.mark.parametrize("inputs", [INPUTS, ["NATF2", -1]])
async def test_a_page_that_is_left_while_the_call_begins_raises_nothing(
    caller: Caller, calls: BrowserCalls, inputs: list[object]
):
    starting = asyncio.create_task(caller.handler.start_up())
    await until(lambda: "send_input" in caller.channel.sent)
    caller.channel.closed = True
    caller.handler.set_args([caller.id, *inputs])
    await starting
    await caller.handler.shutdown()
    await all_is_free(calls)


# Changes and the prototype ---------------------------------------------------------------------------


async def test_sampling_can_be_changed_in_a_live_call(caller: Caller, model: FakeModel):
    await caller.start_live()
    caller.handler.set_args([caller.id, "NATM1", 1.5])
    await until(lambda: model.joined[0][1].text_temperature == 1.5)
    assert caller.call.settings.sampling.text_temperature == 1.5
    assert caller.call.settings.persona.voice == "NATF2"


async def test_a_change_that_cannot_be_used_leaves_the_call_as_it_is(caller: Caller, model: FakeModel):
    call = await caller.start_live()
    caller.handler.set_args([caller.id, "NATF2", -1])
    await caller.say(ramp())
    assert np.any(await caller.hear_answer())
    assert call.settings.sampling.text_temperature == 0.7
    assert model.joined[0][1].text_temperature == 0.7


async def test_copies_share_nothing_but_the_calls(calls: BrowserCalls):
    prototype = BrowserCall(calls, read_settings, closes_nothing)
    one, two = Caller(calls, "one", prototype), Caller(calls, "two", prototype)
    await one.start_live()
    assert calls.of("two").call is None
    assert not two.handler.args_set.is_set()
    await two.start_live()
    assert one.call is not two.call
    await one.handler.shutdown()
    await calls.call_manager.ended(one.call)
    await two.say(ramp())
    assert np.any(await two.hear_answer())


async def test_of_refusals_and_ended_calls_only_the_newest_are_remembered(calls: BrowserCalls):
    for number in range(120):
        calls.refuse(f"refused {number}", "No.")
        call = calls.open(f"ended {number}", SETTINGS, "")
        call.hang_up("bye")
        await calls.call_manager.ended(call)
    assert calls.of("refused 119").refusal == "No."
    assert calls.of("refused 0").refusal == ""
    assert calls.of("ended 119").call is not None
    assert calls.of("ended 0").call is None
    live = calls.open("live", SETTINGS, "")
    for number in range(120):
        calls.refuse(f"later {number}", "No.")
    assert calls.of("live").call is live
