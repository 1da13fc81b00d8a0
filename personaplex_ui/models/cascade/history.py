"""What both have said in one call, as the replier gets it: of the assistant only what was heard."""

from collections import deque

from personaplex_ui.speech.parts import Turn

MOST_TURNS = 40
LONGEST_TURN = 2_000
"""Characters; of more, the end counts."""

CALLER, ASSISTANT = "caller", "assistant"


class History:
    """The latest turns of a call. Who goes on speaking goes on in the same turn."""

    def __init__(self) -> None:
        self._turns: deque[Turn] = deque(maxlen=MOST_TURNS)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Oldest first."""
        return tuple(self._turns)

    def followed_by(self, text: str) -> tuple[Turn, ...]:
        """The turns if the caller said ``text`` now."""
        then = History()
        then._turns.extend(self._turns)
        then.caller_said(text)
        return then.turns

    @property
    def awaits_answer(self) -> bool:
        """Whether the caller had the last word."""
        return bool(self._turns) and self._turns[-1].speaker == CALLER

    def caller_said(self, text: str) -> None:
        """The caller said ``text``: a whole utterance."""
        self._add(CALLER, f" {text}")

    def assistant_said(self, piece: str) -> None:
        """The caller has heard ``piece``, a piece of a transcript (see ``Answer``)."""
        self._add(ASSISTANT, piece)

    def _add(self, speaker: str, piece: str) -> None:
        if not piece.strip():
            return
        before = ""
        if self._turns and self._turns[-1].speaker == speaker:
            before = self._turns.pop().text
        self._turns.append(Turn(speaker, f"{before}{piece}".strip()[-LONGEST_TURN:]))
