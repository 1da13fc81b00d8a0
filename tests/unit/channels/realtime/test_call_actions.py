"""What a session wants of its call: kept in order, bounded, and nothing that was confirmed is lost."""

import asyncio
from typing import Any, cast

import pytest

from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.channels.realtime.call_actions import MOST_ACTIONS, MOST_TOOLS_KEPT, CallActions
from personaplex_ui.channels.realtime.client_tools import OVER, ClientTools
from personaplex_ui.channels.realtime.session import RealtimeSession
from personaplex_ui.speech.parts import Replier
from personaplex_ui.speech.tools.runner import Tools
from tests.support.running import until


class FakeCall:
    """Notes what is done with it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.over = asyncio.Event()

    async def speak(self, text: str, typed: bool) -> None:
        self.done.append(text)

    async def fall_silent(self) -> None:
        self.done.append("silent")

    async def answer_with(self, replier: Replier) -> bool:
        return True


class FakeSession:
    def __init__(self) -> None:
        self.failures: list[tuple[str, str]] = []
        self.called: list[str] = []

    def tell_failure(self, sentence: str, kind: str, fault: str, cause: str = "") -> None:
        self.failures.append((fault, cause))

    def call_function(self, call_id: str, name: str, arguments: str) -> None:
        self.called.append(call_id)


class FakeAnswerer:
    has_language_model = True

    def __init__(self) -> None:
        self.tools: list[Tools | None] = []

    def replier_with(self, tools: Tools | None) -> Any:
        self.tools.append(tools)

    def answer_with(self, call: object, replier: Replier) -> None: ...

    def ask(self, call: object) -> bool:
        return True


class Rig:
    def __init__(self) -> None:
        self.call, self.session, self.answerer = FakeCall(), FakeSession(), FakeAnswerer()
        self.actions = CallActions(self.answerer, lambda: cast(RealtimeSession, self.session))

    async def run_until(self, done: Any) -> None:
        running = asyncio.create_task(self.actions.run(cast(LiveCall, self.call)))
        try:
            await until(done)
        finally:
            running.cancel()

    async def offer(self, name: str) -> ClientTools:
        """The tools that an answer gets."""
        before = len(self.answerer.tools)
        self.actions.use_tools([{"type": "function", "name": name}])
        await self.run_until(lambda: len(self.answerer.tools) > before)
        return cast(ClientTools, self.answerer.tools[-1])


async def test_a_full_queue_loses_no_tools_and_no_silence_and_names_what_is_too_much():
    rig = Rig()
    for number in range(MOST_ACTIONS):
        rig.actions.say(str(number), f"event {number}")
    rig.actions.say("too much", "the last")
    for name in ("old", "new"):
        rig.actions.use_tools([{"type": "function", "name": name}])
    for _ in range(MOST_ACTIONS):
        rig.actions.fall_silent()
    assert rig.session.failures == [("too_much", "the last")]
    await rig.run_until(lambda: "silent" in rig.call.done)
    assert rig.call.done == [*map(str, range(MOST_ACTIONS)), "silent"]
    (tools,) = rig.answerer.tools
    assert "'name': 'new'" in str(cast(ClientTools, tools).offers)


async def test_an_answer_that_uses_the_tools_of_before_gets_its_results():
    rig = Rig()
    old = await rig.offer("old")
    early = asyncio.create_task(asyncio.to_thread(old.run, "old", "{}"))
    await until(lambda: len(rig.session.called) == 1)
    await rig.offer("new")
    late = asyncio.create_task(asyncio.to_thread(old.run, "old", "{}"))
    await until(lambda: len(rig.session.called) == 2)
    for call_id, output in zip(rig.session.called, ("red", "blue"), strict=True):
        rig.actions.take_result(call_id, output)
    assert (await early, await late) == ("red", "blue")


@pytest.mark.parametrize("over", [True, False])
async def test_functions_of_what_is_over_are_answered_at_once(over: bool):
    rig = Rig()
    old = await rig.offer("old")
    if over:
        rig.actions.close()
    else:
        for number in range(MOST_TOOLS_KEPT):
            await rig.offer(f"new {number}")
    assert await asyncio.to_thread(old.run, "old", "{}") == OVER
    assert rig.session.called == []
