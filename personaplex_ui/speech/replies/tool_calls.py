"""The calls of tools in a language model's answer, and the messages that bring their results to it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

LONGEST_ARGUMENTS = 20_000
MOST_CALLS = 16
"""In what a server sends; how many are made is for the replier to decide."""


@dataclass(frozen=True, slots=True)
class CallPart:
    """A part of one call: ``index`` tells which; texts may be empty, ``arguments`` come in pieces."""

    index: int
    call_id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class WantedCall:
    """``arguments``: JSON as the model wrote it."""

    call_id: str = ""
    name: str = ""
    arguments: str = ""


def call_parts(message: Mapping[str, object]) -> tuple[CallPart, ...]:
    """Those in a message or a delta; what is no call is left out."""
    given = message.get("tool_calls")
    if not isinstance(given, list):
        return ()
    parts: list[CallPart] = []
    for number, each in enumerate(cast(list[object], given)[:MOST_CALLS]):
        if not isinstance(each, dict):
            continue
        call = cast(dict[str, object], each)
        function = call.get("function")
        told = cast(dict[str, object], function) if isinstance(function, dict) else {}
        index = call.get("index", number)
        texts = (call.get("id"), told.get("name"), told.get("arguments"))
        parts.append(CallPart(index if isinstance(index, int) else number, *(_text(text) for text in texts)))
    return tuple(parts)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


class CallCollector:
    """Puts calls together whose parts arrive one after the other."""

    def __init__(self) -> None:
        self._calls: dict[int, WantedCall] = {}

    def add(self, parts: Sequence[CallPart]) -> None:
        for part in parts:
            if part.index not in self._calls and len(self._calls) >= MOST_CALLS:
                continue
            call = self._calls.setdefault(part.index, WantedCall())
            call.call_id = call.call_id or part.call_id[:200]
            call.name = call.name or part.name[:200]
            if len(call.arguments) <= LONGEST_ARGUMENTS:
                call.arguments += part.arguments

    @property
    def calls(self) -> list[WantedCall]:
        """Those that have a name, in order."""
        return [call for _, call in sorted(self._calls.items()) if call.name]


def messages_with_results(
    said: str, calls: Sequence[WantedCall], results: Sequence[str]
) -> list[dict[str, object]]:
    """What follows in the conversation with the model: its own message with ``calls``, and their results."""
    ids = [call.call_id or f"call_{number}" for number, call in enumerate(calls)]
    wanted = [
        {
            "id": call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments or "{}"},
        }
        for call_id, call in zip(ids, calls, strict=True)
    ]
    asked: dict[str, object] = {"role": "assistant", "content": said, "tool_calls": wanted}
    told = zip(ids, results, strict=True)
    return [asked, *({"role": "tool", "tool_call_id": call_id, "content": text} for call_id, text in told)]
