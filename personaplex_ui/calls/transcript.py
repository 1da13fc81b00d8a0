"""The transcript of a call: pieces of text, grouped into utterances, exported in three formats.

Depends on text and times only.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from personaplex_ui.audio.frames import FRAME_SEC

NEW_UTTERANCE_AFTER_SEC = 1.2
"""A pause in the text of at least this length begins a new utterance."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance: ``start_sec`` and ``end_sec`` count from the start of the live call."""

    start_sec: float
    end_sec: float
    text: str


class Transcript:
    """Collects what the assistant says. ``pieces``: the text in the order it arrived; the list only grows."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._utterances: list[Utterance] = []

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        """The utterances so far that contain more than white space."""
        stripped = (replace(each, text=each.text.strip()) for each in self._utterances)
        return tuple(each for each in stripped if each.text)

    def append(self, piece: str, start_sec: float, end_sec: float) -> None:
        """Add ``piece`` as it is, heard from ``start_sec`` to ``end_sec``.

        A piece that begins a word starts with a space; only such a piece can begin an utterance, so that no
        word is split.
        """
        self.pieces.append(piece)
        last = self._utterances[-1] if self._utterances else None
        begins_word = piece[:1].isspace()
        if last is None or (begins_word and start_sec - last.end_sec >= NEW_UTTERANCE_AFTER_SEC):
            self._utterances.append(Utterance(start_sec, end_sec, piece))
        else:
            self._utterances[-1] = Utterance(last.start_sec, end_sec, last.text + piece)


def utterances_of(pieces: Iterable[tuple[int, str]]) -> tuple[Utterance, ...]:
    """The utterances of a clip. ``pieces``: frame numbers and the text that came with each frame."""
    transcript = Transcript()
    for number, piece in pieces:
        transcript.append(piece, number * FRAME_SEC, (number + 1) * FRAME_SEC)
    return transcript.utterances


def to_records(utterances: tuple[Utterance, ...]) -> list[dict[str, Any]]:
    """Plain values for files and APIs: ``start_sec`` and ``end_sec`` rounded to 0.01 s, ``text``."""
    return [
        {"start_sec": round(each.start_sec, 2), "end_sec": round(each.end_sec, 2), "text": each.text}
        for each in utterances
    ]


def to_json(utterances: tuple[Utterance, ...]) -> str:
    return json.dumps(to_records(utterances), ensure_ascii=False, indent=2)


def to_txt(utterances: tuple[Utterance, ...]) -> str:
    """One line per utterance: ``[MM:SS] text``, or ``[HH:MM:SS] text`` after the first hour."""
    return "".join(
        f"[{_clock(each.start_sec, '.')[:8].removeprefix('00:')}] {_unbroken(each.text)}\n"
        for each in utterances
    )


def to_srt(utterances: tuple[Utterance, ...]) -> str:
    """SubRip: numbered cues with ``HH:MM:SS,mmm --> HH:MM:SS,mmm``."""
    cues = [
        f"{number}\n{_clock(each.start_sec, ',')} --> {_clock(each.end_sec, ',')}\n{_unbroken(each.text)}\n"
        for number, each in enumerate(utterances, start=1)
    ]
    return "\n".join(cues)


def _unbroken(text: str) -> str:
    """``text`` on one line, since an empty line would end its SubRip cue."""
    return " ".join(text.split())


def _clock(sec: float, decimal_mark: str) -> str:
    milliseconds = round(sec * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal_mark}{milliseconds:03}"
