"""The transcript of a call: pieces of text, grouped into utterances, exported in four formats.

Depends on text and times only.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from personaplex_ui.audio.frames import FRAME_SEC

NEW_UTTERANCE_AFTER_SEC = 1.2
"""A pause in the text of at least this length begins a new utterance."""

LONG_UTTERANCE_CHARACTERS = 300
"""An utterance of this length (some 20 s) ends with its sentence, at twice the length with its word, and at
four times the length at once, so that one who speaks without a pause still fills line after line."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance: ``start_sec`` and ``end_sec`` count from the start of the live call. ``speaker``:
    ``assistant`` or ``caller``."""

    start_sec: float
    end_sec: float
    text: str
    speaker: str = "assistant"


class Transcript:
    """Collects what the assistant says. ``pieces``: the text in the order it arrived; the list only grows."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._utterances: list[Utterance] = []
        self._ended = False

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        """The utterances so far that contain more than white space."""
        stripped = (replace(each, text=each.text.strip()) for each in self._utterances)
        return tuple(each for each in stripped if each.text)

    @property
    def last(self) -> Utterance | None:
        """The newest utterance as it arrived; it may be white space only."""
        return self._utterances[-1] if self._utterances else None

    def append(self, piece: str, start_sec: float, end_sec: float) -> bool:
        """Add ``piece`` as it is, heard from ``start_sec`` to ``end_sec``; True if an utterance began.

        A piece that begins a word starts with a space; only such a piece can begin an utterance, so that no
        word is split.
        """
        self.pieces.append(piece)
        last = self.last
        begins = last is None or self._begins_utterance(last, piece, start_sec)
        if last is None or begins:
            self._utterances.append(Utterance(start_sec, end_sec, piece))
            self._ended = False
        else:
            self._utterances[-1] = Utterance(last.start_sec, end_sec, last.text + piece)
        return begins

    def end_utterance(self) -> None:
        """Let the next word begin an utterance, because the speaker was interrupted."""
        self._ended = True

    def _begins_utterance(self, last: Utterance, piece: str, start_sec: float) -> bool:
        length = len(last.text) / LONG_UTTERANCE_CHARACTERS
        if not piece[:1].isspace():
            return length >= 4
        paused = start_sec - last.end_sec >= NEW_UTTERANCE_AFTER_SEC
        return self._ended or paused or length >= 2 or (length >= 1 and ends_sentence(last.text))


def ends_sentence(text: str) -> bool:
    """Whether a sentence is complete at the end of ``text``."""
    return text.rstrip(" \n\"'\u201d\u2019)]").endswith((".", "!", "?", "…"))


def utterances_of(pieces: Iterable[tuple[int, str]]) -> tuple[Utterance, ...]:
    """The utterances of a clip. ``pieces``: frame numbers and the text that came with each frame."""
    transcript = Transcript()
    for number, piece in pieces:
        transcript.append(piece, number * FRAME_SEC, (number + 1) * FRAME_SEC)
    return transcript.utterances


def to_records(utterances: tuple[Utterance, ...]) -> list[dict[str, Any]]:
    """Plain values for files and APIs: ``start_sec`` and ``end_sec`` rounded to 0.01 s, ``text``,
    ``speaker``."""
    return [
        {
            "start_sec": round(each.start_sec, 2),
            "end_sec": round(each.end_sec, 2),
            "text": each.text,
            "speaker": each.speaker,
        }
        for each in utterances
    ]


def to_json(utterances: tuple[Utterance, ...]) -> str:
    return json.dumps(to_records(utterances), ensure_ascii=False, indent=2)


def to_txt(utterances: tuple[Utterance, ...]) -> str:
    """One line per utterance: ``[MM:SS] text``, or ``[HH:MM:SS] text`` after the first hour."""
    return "".join(
        f"[{_clock(each.start_sec, '.')[:8].removeprefix('00:')}] {text}\n"
        for each, text in _with_speakers(utterances)
    )


def to_srt(utterances: tuple[Utterance, ...]) -> str:
    """SubRip: numbered cues with ``HH:MM:SS,mmm --> HH:MM:SS,mmm``."""
    cues = [
        f"{number}\n{_clock(each.start_sec, ',')} --> {_clock(each.end_sec, ',')}\n{text}\n"
        for number, (each, text) in enumerate(_with_speakers(utterances), start=1)
    ]
    return "\n".join(cues)


def to_vtt(utterances: tuple[Utterance, ...]) -> str:
    """WebVTT, as browsers read it: cues with ``HH:MM:SS.mmm --> HH:MM:SS.mmm`` and ``<v Assistant>``."""
    cues = [
        f"\n{_clock(each.start_sec, '.')} --> {_clock(max(each.end_sec, each.start_sec + 0.001), '.')}\n"
        f"<v {each.speaker.capitalize()}>{_escaped(_unbroken(each.text))}\n"
        for each in utterances
    ]
    return "".join(["WEBVTT\n", *cues])


def _with_speakers(utterances: tuple[Utterance, ...]) -> Iterator[tuple[Utterance, str]]:
    """Each utterance with its text on one line; if there are several speakers, it begins with who speaks."""
    several = len({each.speaker for each in utterances}) > 1
    for each in utterances:
        text = _unbroken(each.text)
        yield each, f"{each.speaker.capitalize()}: {text}" if several else text


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _unbroken(text: str) -> str:
    """``text`` on one line, since an empty line would end its cue."""
    return " ".join(text.split())


def _clock(sec: float, decimal_mark: str) -> str:
    milliseconds = round(sec * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal_mark}{milliseconds:03}"
