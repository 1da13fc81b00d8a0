"""The transcript of a call: pieces of text as they come, grouped into lines, written out in three formats.

Knows text and times only.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from personaplex_ui.audio.frames import FRAME_SEC

NEW_LINE_AFTER_SEC = 1.2
"""A pause in the text of at least this long begins a new line."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance: ``start_sec`` and ``end_sec`` count from the start of the live call."""

    start_sec: float
    end_sec: float
    text: str


class Transcript:
    """Collects what the assistant says."""

    def __init__(self) -> None:
        self._lines: list[Utterance] = []

    @property
    def lines(self) -> tuple[Utterance, ...]:
        """The lines so far that hold more than white space."""
        lines = (Utterance(line.start_sec, line.end_sec, line.text.strip()) for line in self._lines)
        return tuple(line for line in lines if line.text)

    def append(self, piece: str, start_sec: float, end_sec: float) -> None:
        """Add ``piece`` as it is, heard from ``start_sec`` to ``end_sec``.

        A piece that begins a word begins with a space; only such a piece can begin a line, so that no
        word is cut in two.
        """
        last = self._lines[-1] if self._lines else None
        begins_word = piece[:1].isspace()
        if last is None or (begins_word and start_sec - last.end_sec >= NEW_LINE_AFTER_SEC):
            self._lines.append(Utterance(start_sec, end_sec, piece))
        else:
            self._lines[-1] = Utterance(last.start_sec, end_sec, last.text + piece)


def utterances_of(pieces: Iterable[tuple[int, str]]) -> tuple[Utterance, ...]:
    """The lines of a clip: ``pieces`` of text with the number of the frame each came with."""
    transcript = Transcript()
    for number, piece in pieces:
        transcript.append(piece, number * FRAME_SEC, (number + 1) * FRAME_SEC)
    return transcript.lines


def to_records(lines: tuple[Utterance, ...]) -> list[dict[str, Any]]:
    """Plain values, as files and APIs give them: ``start_sec`` and ``end_sec`` to 0.01 s, ``text``."""
    return [
        {"start_sec": round(x.start_sec, 2), "end_sec": round(x.end_sec, 2), "text": x.text} for x in lines
    ]


def to_json(lines: tuple[Utterance, ...]) -> str:
    return json.dumps(to_records(lines), ensure_ascii=False, indent=2)


def to_txt(lines: tuple[Utterance, ...]) -> str:
    """One line each: ``[MM:SS] text``, from the first hour on ``[HH:MM:SS] text``."""
    return "".join(
        f"[{_clock(line.start_sec, '.')[:8].removeprefix('00:')}] {_unbroken(line.text)}\n" for line in lines
    )


def to_srt(lines: tuple[Utterance, ...]) -> str:
    """SubRip: numbered cues with ``HH:MM:SS,mmm --> HH:MM:SS,mmm``."""
    cues = [
        f"{number}\n{_clock(line.start_sec, ',')} --> {_clock(line.end_sec, ',')}\n{_unbroken(line.text)}\n"
        for number, line in enumerate(lines, start=1)
    ]
    return "\n".join(cues)


def _unbroken(text: str) -> str:
    """``text`` on one line: an empty line within it would end its SubRip cue."""
    return " ".join(text.split())


def _clock(sec: float, decimal_mark: str) -> str:
    milliseconds = round(sec * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal_mark}{milliseconds:03}"
