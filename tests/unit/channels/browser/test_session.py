"""A page's call with a made-up data channel and no network: what FastRTC and aiortc call is called here."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiortc import InvalidStateError

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.pacing import Pacer
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.snapshot import End, Phase
from personaplex_ui.calls.wait_estimate import WaitEstimate
from personaplex_ui.channels.browser import session
from personaplex_ui.channels.browser.connections import Connection, Connections
from personaplex_ui.channels.browser.messages import TOO_MANY
from personaplex_ui.channels.browser.session import PageCall
from personaplex_ui.engine.engine import Engine
from personaplex_ui.errors import CallOver
from tests.support.fake_model import FakeModel
from tests.support.page_peers import OWNER, SETTINGS
from tests.support.running import running_call_manager, until


class Channel:
    """A data channel that keeps what was sent; ``closed``, it raises as aiortc's does."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.bufferedAmount = 0
        self.closed = False
        self.say: Callable[[object], None] = lambda message: None

    def send(self, message: str) -> None:
        if self.closed:
            raise InvalidStateError
        self.sent.append(json.loads(message))

    def remove_all_listeners(self, event: str) -> None:
        assert event == "message"

    def on(self, event: str, take: Callable[[object], None]) -> None:
        assert event == "message"
        self.say = take

    @property
    def facts(self) -> list[dict[str, Any]]:
        return [message for message in self.sent if message["type"] == "facts"]

    @property
    def errors(self) -> list[str]:
        return [message["sentence"] for message in self.sent if message["type"] == "error"]


class Caller:
    """A page: its channel, and the calls to its half at the server."""

    def __init__(self, connections: Connections, webrtc_id: str = "one") -> None:
        self.peers_closed: list[str] = []
        self.channel = Channel()
        self.connections = connections
        self.connection = Connection(webrtc_id, SETTINGS, OWNER)
        connections.add(self.connection)
        self.half = PageCall(connections, self._close_peer).copy()
        self.half.attach(self.connection)

    async def _close_peer(self, webrtc_id: str) -> None:
        self.peers_closed.append(webrtc_id)
        await self.half.shutdown()

    def start(self) -> None:
        self.half.set_channel(self.channel)

    async def start_live(self) -> LiveCall:
        self.start()
        await until(lambda: self.connection.call is not None)
        await self.call.live.wait()
        return self.call

    @property
    def call(self) -> LiveCall:
        assert self.connection.call is not None
        return self.connection.call

    def tell(self, **message: object) -> None:
        self.channel.say(json.dumps(message))

    async def hear_answer(self) -> Samples:
        """The next sound that is not silence."""
        async with asyncio.timeout(10.0):
            while not np.any(samples := await self.half.next_sound()):
                await asyncio.sleep(0)
        return samples

    async def hear_end(self) -> None:
        async with asyncio.timeout(10.0):
            while True:
                try:
                    await self.half.next_sound()
                except CallOver:
                    return


@pytest.fixture(autouse=True)
def goodbyes_arrive_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "GOODBYE_ARRIVES_SEC", 0.02)


@pytest.fixture
async def connections(engine: Engine, tmp_path: Path) -> AsyncIterator[Connections]:
    async with running_call_manager(engine, tmp_path) as call_manager:
        yield Connections(call_manager, WaitEstimate(call_manager))


@pytest.fixture
async def caller(connections: Connections) -> AsyncIterator[Caller]:
    caller = Caller(connections)
    yield caller
    await caller.half.shutdown()
    await until(lambda: not connections.call_manager.calls)


def ramp(samples: int = 1_920) -> Samples:
    return np.linspace(-0.6, 0.9, samples).astype(np.float32)


# Life ------------------------------------------------------------------------------------------------


async def test_the_call_begins_when_the_channel_opens_and_is_its_owners(caller: Caller):
    assert caller.connections.facts(caller.connection)["phase"] == "waiting"
    call = await caller.start_live()
    manager = caller.connections.call_manager
    assert list(manager.calls.values()) == [call]
    await caller.half.shutdown()
    await manager.ended(call)
    assert manager.is_idle
    assert (call.reason, call.end) == ("You hung up.", End.HUNG_UP)
    assert [kept.call_id for kept in manager.store.calls_of(OWNER)] == [call.call_id]


async def test_a_page_that_was_answered_before_a_quiet_end_is_waited_for_and_connected(caller: Caller):
    manager = caller.connections.call_manager
    manager.quiet_end.begin(600.0)
    assert not manager.is_idle
    assert (await caller.start_live()).end is None


async def test_a_page_that_never_connects_is_not_waited_for_any_longer(caller: Caller):
    manager = caller.connections.call_manager
    manager.quiet_end.begin(600.0)
    await caller.half.shutdown()
    assert manager.is_idle


async def test_a_channel_that_opens_twice_begins_one_call(caller: Caller):
    call = await caller.start_live()
    caller.start()
    await asyncio.sleep(0.02)
    assert caller.call is call
    assert len(caller.connections.call_manager.calls) == 1


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.PREPARING, Phase.LIVE])
async def test_a_closed_connection_hangs_up_in_any_phase(
    caller: Caller, connections: Connections, model: FakeModel, phase: Phase
):
    others = [Caller(connections, f"caller {number}") for number in range(2 if phase is Phase.WAITING else 0)]
    for other in others:
        await other.start_live()
    model.chunks = 10**9 if phase is Phase.PREPARING else 1
    caller.start()
    await until(lambda: caller.connection.call is not None and caller.call.phase is phase)
    await caller.half.shutdown()
    await caller.half.shutdown()
    await connections.call_manager.ended(caller.call)
    assert caller.call.reason == "You hung up."
    for other in others:
        await other.half.shutdown()


async def test_a_connection_that_is_lost_before_its_channel_opens_has_no_call(caller: Caller):
    await caller.half.shutdown()
    await caller.hear_end()
    assert (caller.connection.end, caller.connection.call) == (End.LOST, None)


async def test_a_page_that_opens_no_channel_is_let_go(caller: Caller, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session, "CHANNEL_WITHIN_SEC", 0.02)
    await caller.hear_end()
    await until(lambda: caller.peers_closed == ["one"])
    assert caller.connection.refusal == session.NO_CHANNEL


async def test_a_call_that_is_refused_is_told_so_and_its_connection_closed(
    caller: Caller, connections: Connections
):
    await connections.call_manager.close("Back in a minute.")
    caller.start()
    await caller.hear_end()
    (facts,) = caller.channel.facts
    assert (facts["phase"], facts["end"], facts["reason"]) == ("ended", "refused", "Back in a minute.")
    await until(lambda: caller.peers_closed == ["one"])


async def test_after_the_end_the_server_closes_the_connection(caller: Caller):
    call = await caller.start_live()
    call.hang_up("The call may last so long.", End.TIME_LIMIT)
    await caller.hear_end()
    await until(lambda: caller.peers_closed == ["one"])
    last = caller.channel.facts[-1]
    assert (last["phase"], last["end"]) == ("ended", "time_limit")


Fail = Callable[[Caller, pytest.MonkeyPatch, FakeModel], Awaitable[None]]


def broken(*args: object) -> None:
    raise RuntimeError("a secret of ours")


async def fail_to_begin(caller: Caller, patch: pytest.MonkeyPatch, model: FakeModel) -> None:
    patch.setattr(session, "enter_call", broken)
    caller.start()


async def fail_to_send(caller: Caller, patch: pytest.MonkeyPatch, model: FakeModel) -> None:
    patch.setattr(await caller.start_live(), "next_answer", broken)


async def fail_to_receive(caller: Caller, patch: pytest.MonkeyPatch, model: FakeModel) -> None:
    patch.setattr(await caller.start_live(), "hear", broken)
    caller.half.hear(ramp())


async def fail_to_tell(caller: Caller, patch: pytest.MonkeyPatch, model: FakeModel) -> None:
    await caller.start_live()
    patch.setattr(caller.connections, "news", broken)


async def fail_in_the_model(caller: Caller, patch: pytest.MonkeyPatch, model: FakeModel) -> None:
    await caller.start_live()
    model.fail_steps = 1
    caller.half.hear(ramp())


@pytest.mark.parametrize(
    "fail", [fail_to_begin, fail_to_send, fail_to_receive, fail_to_tell, fail_in_the_model]
)
async def test_a_fault_ends_the_call_with_a_sentence(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, model: FakeModel, fail: Fail
):
    await fail(caller, monkeypatch, model)
    await caller.hear_end()
    assert caller.call.end is End.FAILED
    assert "call again" in caller.call.reason
    assert "secret" not in caller.call.reason
    await until(lambda: caller.peers_closed == ["one"])


# Sound -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [240, 471, 480, 960, 1_920, 2_880])
async def test_chunks_of_any_length_are_heard_whole_and_in_order(caller: Caller, chunk: int):
    await caller.start_live()
    sound = ramp(3 * 1_920)
    for start in range(0, len(sound), chunk):
        caller.half.hear(sound[start : start + chunk])
    assert np.array_equal(await caller.hear_answer(), sound[:1_920])


async def test_before_the_call_is_live_there_is_silence_in_packets(connections: Connections):
    held = [Caller(connections, f"caller {number}") for number in range(2)]
    for caller in held:
        await caller.start_live()
    waiting = Caller(connections, "waiting")
    waiting.start()
    waiting.half.hear(ramp())
    for _ in range(5):
        assert np.array_equal(await waiting.half.next_sound(), np.zeros(480))
    assert waiting.call.phase is Phase.WAITING
    for caller in (*held, waiting):
        await caller.half.shutdown()


async def test_after_a_stall_quiet_sound_is_shortened_and_loud_sound_never(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
):
    def lagging(pacer: Pacer, now: float, waited_sec: float) -> float:
        return 0.04

    monkeypatch.setattr(Pacer, "spare_sec", lagging)
    call = await caller.start_live()
    answers = [np.full(1_920, level, dtype=np.float32) for level in (0.0, 0.5)]

    async def next_answer(timeout_sec: float | None = None) -> Samples:
        return answers.pop(0)

    monkeypatch.setattr(call, "next_answer", next_answer)
    assert [len(await caller.half.next_sound()) / SAMPLE_RATE_HZ for _ in range(2)] == [0.04, 0.08]


# Facts and messages ----------------------------------------------------------------------------------


async def test_facts_follow_the_call_and_lines_come_once(caller: Caller):
    await caller.start_live()
    for _ in range(3):
        caller.half.hear(ramp())
        await caller.hear_answer()
    await until(lambda: any(facts["lines"] for facts in caller.channel.facts))
    caller.tell(type="bye")
    await caller.hear_end()
    await until(lambda: caller.channel.facts[-1]["phase"] == "ended")
    facts = caller.channel.facts
    assert [each["seq"] for each in facts] == list(range(1, len(facts) + 1))
    assert facts[-1]["reason"] == "You hung up."
    assert {line["who"] for each in facts for line in each["lines"]} >= {"assistant"}


async def test_who_does_not_read_gets_no_more_and_later_all_that_was_left_out(caller: Caller):
    call = await caller.start_live()
    await until(lambda: caller.channel.facts[-1]["phase"] == "live")
    caller.channel.bufferedAmount = session.MOST_BUFFERED_BYTES + 1
    told = len(caller.channel.sent)
    await call.speak("Hello there.")
    caller.channel.say("junk")
    await asyncio.sleep(0.5)
    assert len(caller.channel.sent) == told
    caller.channel.bufferedAmount = 0
    await until(lambda: len(caller.channel.facts) > told)
    lines = [line for each in caller.channel.facts[told:] for line in each["lines"]]
    assert [(line["who"], line["text"]) for line in lines] == [("typed", "Hello there.")]


async def test_who_waits_is_told_the_guess_anew(connections: Connections, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session, "WAIT_TOLD_EVERY_SEC", 0.02)
    held = [Caller(connections, f"caller {number}") for number in range(2)]
    for caller in held:
        await caller.start_live()
    waiting = Caller(connections, "waiting")
    waiting.start()
    await until(lambda: bool(waiting.channel.facts) and waiting.channel.facts[-1]["place"] == 1)
    assert waiting.channel.facts[-1]["wait_sec"] is None

    def guess(waits: WaitEstimate, snapshot: object) -> float:
        return 42.0

    monkeypatch.setattr(WaitEstimate, "wait_sec", guess)
    await until(lambda: waiting.channel.facts[-1]["wait_sec"] == 45)
    for caller in (*held, waiting):
        await caller.half.shutdown()


async def test_a_typed_text_is_said(caller: Caller, model: FakeModel):
    await caller.start_live()
    caller.tell(type="say", text=" Good morning. ")
    await until(lambda: model.spoken == [(0, "Good morning.")])
    caller.tell(type="say", text="one too many")
    await until(lambda: caller.channel.errors == ["Ten texts are already waiting."])


async def test_sampling_can_be_changed_in_a_live_call(caller: Caller, model: FakeModel):
    await caller.start_live()
    caller.tell(type="sampling", text_temperature=1.5, voice="NATM1")
    await until(lambda: model.joined[0][1].text_temperature == 1.5)
    assert caller.call.settings.persona == SETTINGS.persona
    caller.tell(type="sampling", text_temperature=-1)
    await until(lambda: bool(caller.channel.errors))
    assert caller.channel.sent[-1]["field"] == "text_temperature"
    assert model.joined[0][1].text_temperature == 1.5


async def test_what_is_said_too_early_or_too_often_is_answered_and_ends_nothing(
    caller: Caller, model: FakeModel
):
    model.chunks = 10**9
    caller.start()
    await until(lambda: caller.connection.call is not None and caller.call.phase is Phase.PREPARING)
    caller.tell(type="say", text="Hello")
    await until(lambda: len(caller.channel.errors) == 1)
    assert "not live" in caller.channel.errors[0]
    for _ in range(200):
        caller.channel.say("junk")
    await until(lambda: TOO_MANY in caller.channel.errors)
    assert len(caller.channel.errors) < 50
    assert caller.call.phase is Phase.PREPARING


async def test_a_page_that_was_left_raises_nothing(caller: Caller):
    caller.channel.closed = True
    call = await caller.start_live()
    caller.channel.say("junk")
    call.hang_up("bye")
    await caller.hear_end()
    await until(lambda: caller.peers_closed == ["one"])


# The connections -------------------------------------------------------------------------------------


async def test_only_the_newest_of_the_ended_ones_are_remembered_and_all_that_go_on(connections: Connections):
    live = Connection("live", SETTINGS, OWNER)
    assert connections.add(live)
    assert not connections.add(Connection("live", SETTINGS, OWNER))
    for number in range(120):
        refused = Connection(f"refused {number}", SETTINGS, OWNER)
        connections.add(refused)
        refused.refuse("No.")
    assert connections.of("refused 119", OWNER) is not None
    assert connections.of("refused 0", OWNER) is None
    assert connections.of("live", OWNER) is live
    assert connections.of("live", "somebody else") is None
