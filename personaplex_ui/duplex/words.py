"""What the assistant said, from a transcript: how many words a stretch has, and whether a sentence was
complete. Pure; two kinds of JSON are read, the app's own and that of Full-Duplex-Bench."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from personaplex_ui.audio.levels import Segment
from personaplex_ui.errors import InvalidInput

MOST_BACKCHANNEL_WORDS = 2
NEAR_SEC = 0.5
"""A text's times are those of its tokens, which come a little before or after the sound."""

ENDS_NEAR_SEC = 1.0
LONGEST_SEC = 1e6

NOT_A_TRANSCRIPT = (
    'It is not a transcript. Give the JSON that the app downloads (a list of {"start_sec", "end_sec", '
    '"text", "speaker"}) or that of Full-Duplex-Bench ({"text", "chunks": [{"text", "timestamp": '
    "[start, end]}]})."
)


@dataclass(frozen=True, slots=True)
class Said:
    """A text of the assistant's and its time in seconds."""

    start_sec: float
    end_sec: float
    text: str


class AssistantWords:
    """Empty where nothing is known of the words; then every answer is the one that sound alone gives."""

    def __init__(self, said: Iterable[Said] = ()) -> None:
        self._said = sorted(said, key=lambda each: each.start_sec)

    def may_be_backchannel(self, spoken: Segment) -> bool:
        """Whether no more than two words were said in ``spoken``. A text counts where its middle is."""
        start_sec, end_sec = spoken.start_sec - NEAR_SEC, spoken.end_sec + NEAR_SEC
        within = (each for each in self._said if start_sec <= (each.start_sec + each.end_sec) / 2 <= end_sec)
        return sum(len(each.text.split()) for each in within) <= MOST_BACKCHANNEL_WORDS

    def complete_at(self, at_sec: float) -> bool:
        """Whether the sentence was complete with which the assistant fell silent at ``at_sec``."""
        latest_first = reversed(self._said)
        nearest = min(latest_first, key=lambda each: abs(each.end_sec - at_sec), default=None)
        if nearest is None or abs(nearest.end_sec - at_sec) > ENDS_NEAR_SEC:
            return False
        return nearest.text.rstrip(" \n\"'\u201d\u2019)]").endswith((".", "!", "?", "…"))


NO_WORDS = AssistantWords()


def read_transcript(text: str | bytes) -> AssistantWords:
    """The assistant's part of a transcript in JSON.

    Raises:
        InvalidInput: it is none.
    """
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("transcript", NOT_A_TRANSCRIPT) from error
    if isinstance(told, dict):
        pieces = cast(dict[str, Any], told).get("chunks")
        return AssistantWords(said for each in _listed(pieces) if (said := _chunk(each)) is not None)
    return AssistantWords(
        _utterance(each) for each in _listed(told) if each.get("speaker", "assistant") == "assistant"
    )


def _listed(told: Any) -> Sequence[dict[str, Any]]:
    if not isinstance(told, list) or not all(isinstance(each, dict) for each in cast(list[Any], told)):
        raise InvalidInput("transcript", NOT_A_TRANSCRIPT)
    return cast(list[dict[str, Any]], told)


def _utterance(told: dict[str, Any]) -> Said:
    return _said(told.get("start_sec"), told.get("end_sec"), told.get("text"))


def _chunk(told: dict[str, Any]) -> Said | None:
    """None for a word whose time its recogniser did not find."""
    times = told.get("timestamp")
    if not isinstance(times, list) or len(cast(list[Any], times)) != 2:
        raise InvalidInput("transcript", NOT_A_TRANSCRIPT)
    start_sec, end_sec = cast(list[Any], times)
    if start_sec is None:
        return None
    # Recognisers leave out the end of a last word, too.
    return _said(start_sec, start_sec if end_sec is None else end_sec, told.get("text"))


def _said(start_sec: Any, end_sec: Any, text: Any) -> Said:
    times = [start_sec, end_sec]
    if not isinstance(text, str) or not all(_is_time(each) for each in times):
        raise InvalidInput("transcript", NOT_A_TRANSCRIPT)
    return Said(float(start_sec), float(end_sec), text)


def _is_time(value: Any) -> bool:
    # Neither NaN nor a whole number that no float can hold is in between.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -LONGEST_SEC < value < LONGEST_SEC
