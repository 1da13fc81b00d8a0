"""What a session wants of its call, in order, once the call is live: speaking, reading, silence, functions.

Depends on the call, on who finds answers, and on the session that is told what failed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from personaplex_ui.calls.call import Call
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.channels.realtime.client_tools import ClientTools
from personaplex_ui.channels.realtime.faults import INVALID, SERVER
from personaplex_ui.channels.realtime.items import Json
from personaplex_ui.channels.realtime.session import RealtimeSession
from personaplex_ui.errors import CallOver, PersonaplexError
from personaplex_ui.speech.parts import Replier
from personaplex_ui.speech.tools.runner import Tools

log = logging.getLogger(__name__)

MOST_ACTIONS = 32
"""That wait."""

MOST_TOOLS_KEPT = 4
"""A client may change its functions while an answer uses those of before."""

BUSY = "An answer to what was written before is still on its way. Wait for its response.done."
TOO_MUCH = "Too much waits to be done. Wait for response.done."

Action = Callable[[LiveCall], Awaitable[None]]


class Answerer(Protocol):
    """Who finds answers for models that cannot read, and calls functions."""

    @property
    def has_language_model(self) -> bool: ...

    def replier_with(self, tools: Tools | None) -> Replier:
        """May block."""
        ...

    def answer_with(self, call: Call, replier: Replier) -> None: ...

    def ask(self, call: Call) -> bool:
        """Have the caller's last words answered. False: an answer is on its way already."""
        ...


class CallActions:
    """``session``: gives the session, which is made later. ``run`` it alongside the live call."""

    def __init__(self, answerer: Answerer, session: Callable[[], RealtimeSession]) -> None:
        self._answerer = answerer
        self._session = session
        self._actions: deque[Action] = deque()
        self._new_tools: Sequence[Json] | None = None
        """That are to be offered before anything else is done."""
        self._wanted = asyncio.Event()
        self._call: LiveCall | None = None
        self._tools: deque[ClientTools] = deque()
        """Those that are offered last, and before them some whose answers may still be under way."""

    def say(self, text: str, cause: str) -> None:
        """Word for word. ``cause``: the event that wants it."""
        self._do(lambda call: call.speak(text, typed=True), cause)

    def read(self, text: str, cause: str) -> None:
        """Have what the caller wrote answered."""
        self._do(lambda call: self._have_read(call, text, cause), cause)

    def fall_silent(self) -> None:
        """Never too much: nothing can come between two of these that follow one another."""
        if not self._actions or self._actions[-1] is not _fall_silent:
            self._add(_fall_silent)

    def use_tools(self, tools: Sequence[Json]) -> None:
        """Offer ``tools`` to the language model from now on. The latest count."""
        self._new_tools = tools
        self._wanted.set()

    def take_result(self, call_id: str, output: str) -> None:
        """A function of the client returned ``output``."""
        if not any(tools.answer(call_id, output) for tools in self._tools):
            log.info("A client sent the result of a function that nobody waits for.")

    def close(self) -> None:
        """Nothing will be answered any more. Idempotent."""
        for tools in self._tools:
            tools.close()

    def _do(self, action: Action, cause: str) -> None:
        """Once the call is live, after what was wanted before."""
        if len(self._actions) < MOST_ACTIONS:
            self._add(action)
        else:
            self._session().tell_failure(TOO_MUCH, INVALID, "too_much", cause)

    def _add(self, action: Action) -> None:
        self._actions.append(action)
        self._wanted.set()

    async def _next(self) -> Action:
        while True:
            if self._new_tools is not None:
                tools, self._new_tools = self._new_tools, None
                return lambda call: self._use_tools(call, tools)
            if self._actions:
                return self._actions.popleft()
            self._wanted.clear()
            await self._wanted.wait()

    async def run(self, call: LiveCall) -> None:
        """Do what is wanted of the live ``call``. Raises CallOver in the end."""
        self._call = call
        while True:
            action = await self._next()
            try:
                await action(call)
            except CallOver:
                raise
            except PersonaplexError as error:
                self._session().tell_failure(str(error), SERVER, error.code)

    async def _have_read(self, call: LiveCall, text: str, cause: str) -> None:
        at_sec, before = call.elapsed_sec, call.conversation.version
        call.hear_words(f" {text}", at_sec, at_sec)
        self._session().wrote(call.conversation.changed_since(before))
        if not await call.read(text) and not self._answerer.ask(call):
            self._session().tell_failure(BUSY, INVALID, "conversation_already_has_active_response", cause)

    async def _use_tools(self, call: LiveCall, tools: Sequence[Json]) -> None:
        client_tools = ClientTools(tools, self._call_function)
        self._tools.append(client_tools)
        if len(self._tools) > MOST_TOOLS_KEPT:
            self._tools.popleft().close()
        offered = client_tools if tools else None
        replier = await asyncio.to_thread(self._answerer.replier_with, offered)
        if not await call.answer_with(replier):
            self._answerer.answer_with(call, replier)

    def _call_function(self, call_id: str, name: str, arguments: str) -> None:
        if self._call is not None and not self._call.over.is_set():
            self._session().call_function(call_id, name, arguments)


async def _fall_silent(call: LiveCall) -> None:
    await call.fall_silent()
