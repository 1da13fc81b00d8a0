"""Items of a conversation: messages, calls of functions and their results, and the log of them. Pure."""

import enum
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from personaplex_ui.channels.realtime.faults import RealtimeFault

MOST_ITEMS = 1_000
"""In one session; then the oldest are forgotten."""


class Dialect(enum.Enum):
    """How events and fields are named: as since 2025 (``GA``), or as in the years of the beta."""

    GA = "ga"
    BETA = "beta"


class Kind(enum.StrEnum):
    MESSAGE = "message"
    FUNCTION_CALL = "function_call"
    FUNCTION_CALL_OUTPUT = "function_call_output"


class Role(enum.StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class Status(enum.StrEnum):
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Item:
    """``text``: of a message, or the transcript of one that is sound (``spoken``); None for a sound whose
    words are not known. ``call_id``, ``name``, ``arguments``, ``output``: of functions only. ``sounds``: what
    a client put into a message, as it was encoded, each with the name of its field."""

    item_id: str
    kind: Kind = Kind.MESSAGE
    role: Role = Role.USER
    text: str | None = None
    spoken: bool = False
    status: Status = Status.COMPLETED
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: str = ""
    sounds: tuple[tuple[str, bytes], ...] = ()

    def record(self, dialect: Dialect) -> dict[str, Any]:
        """As JSON. A message that has only begun has no content yet."""
        about = {
            "id": self.item_id,
            "object": "realtime.item",
            "type": str(self.kind),
            "status": str(self.status),
        }
        match self.kind:
            case Kind.FUNCTION_CALL:
                return {**about, "call_id": self.call_id, "name": self.name, "arguments": self.arguments}
            case Kind.FUNCTION_CALL_OUTPUT:
                return {**about, "call_id": self.call_id, "output": self.output}
            case Kind.MESSAGE:
                return {**about, "role": str(self.role), "content": self._content(dialect)}

    def _content(self, dialect: Dialect) -> list[dict[str, Any]]:
        if self.role is Role.ASSISTANT:
            if self.status is Status.IN_PROGRESS:
                return []
            prefix = "output_" if dialect is Dialect.GA else ""
            if self.spoken:
                return [{"type": f"{prefix}audio", "transcript": self.text or ""}]
            return [{"type": f"{prefix}text", "text": self.text or ""}]
        if self.spoken:
            return [{"type": "input_audio", "transcript": self.text}]
        return [{"type": "input_text", "text": self.text or ""}]


class ItemLog:
    """The items of one session, in order."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, Item] = OrderedDict()

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    @property
    def last_id(self) -> str | None:
        return next(reversed(self._items), None)

    def before(self, item_id: str) -> str | None:
        """The id of the item before that one."""
        previous = None
        for each in self._items:
            if each == item_id:
                return previous
            previous = each
        return None

    def add(self, item: Item) -> str | None:
        """Add at the end; returns the id of the item before."""
        before = self.last_id
        self._items[item.item_id] = item
        if len(self._items) > MOST_ITEMS:
            self._items.popitem(last=False)
        return before

    def change(self, item_id: str, change: Callable[[Item], Item]) -> None:
        if item_id in self._items:
            self._items[item_id] = change(self._items[item_id])

    def find(self, item_id: str, fault: str) -> Item:
        """Raises RealtimeFault: there is no such item."""
        if item_id not in self._items:
            raise RealtimeFault(f"There is no item {item_id[:60]!r} in this conversation.", fault, "item_id")
        return self._items[item_id]

    def remove(self, item_id: str) -> None:
        del self._items[item_id]


Json = Mapping[str, object]
