"""Answers from a language model on any server with OpenAI's chat completions, sentence by sentence."""

import copy
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import httpx

from personaplex_ui.errors import SettingsError, setting
from personaplex_ui.speech.documents.retrieval import Documents
from personaplex_ui.speech.parts import Turn
from personaplex_ui.speech.replies import chat_failures
from personaplex_ui.speech.replies.chat_failures import LONGEST_WAIT_SEC, failure
from personaplex_ui.speech.replies.chat_messages import ThoughtFilter, messages_for, spoken
from personaplex_ui.speech.replies.chat_stream import ChatStream
from personaplex_ui.speech.replies.identity import identity_of
from personaplex_ui.speech.replies.sentences import SentenceSplitter
from personaplex_ui.speech.replies.server_sent_events import MOST_BYTES
from personaplex_ui.speech.replies.small_talk import greeting
from personaplex_ui.speech.replies.tool_calls import CallCollector, WantedCall, messages_with_results
from personaplex_ui.speech.servers import authorization, can_be_sent
from personaplex_ui.speech.tools.runner import AllTools, Tools

MOST_CONNECTIONS = 32
MOST_ROUNDS = 3
"""How often in one answer the model may call tools; ``MOST_CALLS``: how many in all."""

MOST_CALLS = 4
TOO_MANY = "Error: There were too many calls in this answer. Answer with what you have."


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """``first_sentence_sec``: from the request to the first sentence; ``answer_sec``: to the last one.
    ``answer_characters``: after them the answer ends with its sentence; ``most_bytes``: of what the server
    sends."""

    first_sentence_sec: float = 8.0
    answer_sec: float = 30.0
    answer_characters: int = 600
    most_bytes: int = MOST_BYTES


DEFAULT_LIMITS = HttpLimits()


class HttpReplier:
    """A ``Replier`` that asks ``base_url`` (as in ``https://api.openai.com/v1``) for ``model``.

    ``extra``: what else its requests contain, such as ``temperature``. It is used by several threads at once.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        model: str,
        limits: HttpLimits = DEFAULT_LIMITS,
        extra: Mapping[str, object] | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        documents: Documents | None = None,
        tools: Tools | None = None,
    ) -> None:
        """``documents``: whose passages go with each question; ``tools``: which the model may call.

        Raises:
            SettingsError: the key cannot be sent.
        """
        if not can_be_sent(api_key):
            raise SettingsError(f"{setting('LLM_API_KEY')} holds characters that no key has.", "LLM_API_KEY")
        # Decompressed, a few packets could become gigabytes before they are counted. Redirects are not
        # followed, so the key is sent nowhere else.
        headers = {
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
            **authorization(api_key),
        }
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._model = model
        self._limits = limits
        self._extra = dict(extra or {})
        self._clock = clock
        self._documents = documents
        self._tools = tools
        self._asked_to_wait_until = 0.0
        self._client = httpx.Client(
            headers=headers,
            timeout=limits.first_sentence_sec,
            limits=httpx.Limits(max_connections=MOST_CONNECTIONS),
            transport=transport,
        )

    def greet(self, role: str) -> str:
        """The greeting of the role's name, without asking the server: it is said at once."""
        return greeting(identity_of(role))

    def reply(self, role: str, turns: Sequence[Turn]) -> "HttpAnswer":
        """The answer to the last of ``turns``, an iterator; the request begins at once.

        Raises:
            SpeechPartFailed: the server asked to be left alone for now.
        """
        left_sec = self._asked_to_wait_until - self._clock()
        if left_sec > 0:
            raise chat_failures.refused(429, left_sec)
        passages = self._documents.about(turns) if self._documents is not None else ()
        messages = messages_for(role, turns, passages, has_tools=self._tools is not None)
        return HttpAnswer(self._begin, [*messages], self._limits, self._tools)

    def _begin(self, messages: Sequence[Mapping[str, object]], may_call: bool) -> ChatStream:
        body = {**self._extra, "model": self._model, "messages": messages, "stream": True}
        if self._tools is not None:
            body |= {"tools": self._tools.offers} | ({} if may_call else {"tool_choice": "none"})
        return ChatStream(self._client, self._url, body, self._limits.most_bytes, self._note_refusal)

    def with_tools(self, more: Tools) -> "HttpReplier":
        """The same replier, over the same connections, whose model may call ``more``, too."""
        other = copy.copy(self)
        other._tools = more if self._tools is None else AllTools(self._tools, more)
        return other

    def close(self) -> None:
        """Closes all connections; it cannot be used any more."""
        self._client.close()

    def _note_refusal(self, status: int, wait_sec: float | None) -> None:
        if status in (429, 503) and wait_sec:
            self._asked_to_wait_until = self._clock() + min(wait_sec, LONGEST_WAIT_SEC)


class HttpAnswer(Iterator[str]):
    """The sentences of an answer as they arrive. ``close`` ends it from any thread, also while another one
    waits for a sentence.

    ``begin`` sends messages to the model; its second argument says whether tools may be called. If the model
    calls some, they are run here, and it is asked anew with what they returned.
    """

    def __init__(
        self,
        begin: Callable[[Sequence[Mapping[str, object]], bool], ChatStream],
        messages: Sequence[Mapping[str, object]],
        limits: HttpLimits,
        tools: Tools | None = None,
    ) -> None:
        self._begin = begin
        self._messages = list(messages)
        self._tools = tools
        self._rounds_left = MOST_ROUNDS if tools is not None else 0
        self._calls_left = MOST_CALLS
        self._lock = threading.Lock()
        self._stream = begin(self._messages, True)
        self._limits = limits
        self._began = self._round_began = time.monotonic()
        self._said = ""
        """The text of this round."""
        self._calls = CallCollector()
        self._splitter = SentenceSplitter()
        self._thoughts = ThoughtFilter()
        self._ready: list[str] = []
        self._characters = 0
        self._over = False

    def __next__(self) -> str:
        """
        Raises:
            SpeechPartFailed: the server gave no answer; whole sentences before that are good.
        """
        while not self._ready and not self._over:
            self._advance()
        if not self._ready:
            raise StopIteration
        sentence = self._ready.pop(0)
        self._characters += len(sentence)
        if self._characters >= self._limits.answer_characters:
            self._ready.clear()
            self.close()
        return sentence

    def close(self) -> None:
        """Ends the answer and the request."""
        with self._lock:
            self._over = True
            stream = self._stream
        stream.close()

    def _advance(self) -> None:
        """Waits for the next part of the answer."""
        until = self._began + self._limits.answer_sec
        if not self._characters:
            until = min(until, self._round_began + self._limits.first_sentence_sec)
        try:
            delta = self._stream.next_part(until)
        except Exception:
            self._over = True
            raise
        if delta is None:
            self._over = True
            return
        self._said += delta.text
        self._calls.add(delta.calls)
        self._keep(self._splitter.feed(self._thoughts.feed(delta.text)))
        if delta.finished:
            self._keep(self._splitter.feed(self._thoughts.finish()) + self._splitter.finish())
            if self._tools is not None and self._rounds_left and self._calls.calls:
                self._run(self._tools, self._calls.calls)
                return
            self._over = True
            if not self._ready and not self._characters:
                wants_tool = delta.finished == "tool_calls"
                raise failure(chat_failures.WANTS_TOOL if wants_tool else chat_failures.NOTHING_SAID)

    def _run(self, tools: Tools, calls: list[WantedCall]) -> None:
        """Run the ``calls`` of this round, and begin the next one with their results."""
        results: list[str] = []
        for call in calls:
            if self._over:
                return
            self._calls_left -= 1
            results.append(tools.run(call.name, call.arguments) if self._calls_left >= 0 else TOO_MANY)
        self._messages += messages_with_results(self._said, calls, results)
        self._rounds_left -= 1
        may_call = self._rounds_left > 0 and self._calls_left > 0
        with self._lock:
            if self._over:
                return
            self._stream = self._begin(self._messages, may_call)
        self._round_began = time.monotonic()
        self._said, self._calls, self._thoughts = "", CallCollector(), ThoughtFilter()

    def _keep(self, sentences: list[str]) -> None:
        self._ready += [
            said for sentence in sentences if (said := spoken(sentence)) and re.search(r"\w", said)
        ]
