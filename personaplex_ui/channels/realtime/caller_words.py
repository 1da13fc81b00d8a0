"""The caller's words for the client: lines of the conversation, told as transcripts of items. Sans-I/O."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from personaplex_ui.calls.conversation_lines import Line, Who
from personaplex_ui.channels.realtime.caller_turns import BESIDE_SEC, CallersTurn
from personaplex_ui.channels.realtime.items import Item, ItemLog
from personaplex_ui.channels.realtime.server_events import (
    AllWordsHeard,
    ItemAdded,
    ItemDone,
    ServerEvent,
    WordsHeard,
)

SETTLED_SEC = 1.0
"""A line that is closed and whose words have not changed for so long is told as a whole."""

MOST_UNDER_WAY = 64


@dataclass(slots=True)
class _Told:
    """What a client knows of one line."""

    item_id: str
    text: str
    changed_at: float
    line: Line


class CallerWords:
    """``turns``: the latest of the caller, which grows. ``waits``: whether words that begin at a
    second of the call are of a turn that the client is still to commit, and have to wait for it."""

    def __init__(
        self,
        items: ItemLog,
        new_id: Callable[[], str],
        turns: Sequence[CallersTurn],
        waits: Callable[[float], bool] = lambda _: False,
    ) -> None:
        self._items = items
        self._new_id = new_id
        self._turns = turns
        self._waits = waits
        self._under_way: dict[int, _Told] = {}
        self._left_out: set[int] = set()
        self._used: set[str] = set()
        """Items whose words are told as a whole."""

    def leave_out(self, lines: Sequence[Line]) -> None:
        """``lines`` were written by the client itself."""
        self._left_out |= {line.n for line in lines if line.who is Who.CALLER}

    def change(self, lines: Sequence[Line], now: float, speaking: bool) -> list[ServerEvent]:
        """``lines`` are new or changed. While the caller is ``speaking``, the item of their turn is not known
        yet, so words wait for its end."""
        events: list[ServerEvent] = []
        for line in lines:
            if line.who is not Who.CALLER or not line.text or line.n in self._left_out:
                continue
            told = self._under_way.get(line.n)
            if told is None:
                told = _Told("", "", now, line)
                self._under_way[line.n] = told
            if line.text != told.line.text:
                told.changed_at = now
            told.line = line
        if not speaking:
            for told in self._under_way.values():
                if not self._is_early(told):
                    events += self._grow(told)
        return events

    def settle(self, now: float, over: bool = False) -> list[ServerEvent]:
        """What nothing more is expected of. ``over``: the call is."""
        events: list[ServerEvent] = []
        too_many = len(self._under_way) > MOST_UNDER_WAY
        for n, told in list(self._under_way.items()):
            settled = not told.line.open and now - told.changed_at >= SETTLED_SEC
            if not (over or too_many or (settled and not self._is_early(told))):
                continue
            events += self._grow(told)
            del self._under_way[n]
            self._left_out.add(n)
            text, sec = told.line.text, max(0.0, told.line.end_sec - told.line.start_sec)
            self._used.add(told.item_id)
            self._items.change(told.item_id, lambda item, text=text: replace(item, text=text))
            events.append(AllWordsHeard(told.item_id, 0, text, sec))
        return events

    def _is_early(self, told: _Told) -> bool:
        return not told.item_id and self._waits(told.line.start_sec)

    def _grow(self, told: _Told) -> list[ServerEvent]:
        events: list[ServerEvent] = []
        if not told.item_id:
            told.item_id = self._item_of(told.line) or self._new_id()
        if told.item_id not in self._items:
            item = Item(told.item_id, spoken=True)
            before = self._items.add(item)
            events += [ItemAdded(before, item), ItemDone(before, item)]
        text = told.line.text
        if text != told.text and text.startswith(told.text):  # else words were put between: told in the end
            events.append(WordsHeard(told.item_id, 0, text[len(told.text) :]))
        told.text = text
        return events

    def _item_of(self, line: Line) -> str:
        """The turn that ``line`` overlaps most; empty if there is none nearby."""
        best, best_sec = "", -BESIDE_SEC
        taken = self._used | {told.item_id for told in self._under_way.values()}
        for turn in self._turns:
            overlap_sec = min(turn.end_sec, line.end_sec) - max(turn.start_sec, line.start_sec)
            if overlap_sec > best_sec and turn.item_id not in taken:
                best, best_sec = turn.item_id, overlap_sec
        return best
