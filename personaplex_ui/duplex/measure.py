"""From the sound of both sides to the report. It takes the recording in blocks, so that its length costs
little memory (some 3 MB an hour), and asks between them whether it is still wanted."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.levels import SPEECH_DBFS
from personaplex_ui.duplex.activity import speech_in
from personaplex_ui.duplex.band_levels import STEP_SEC, BandLevels, Levels
from personaplex_ui.duplex.echo_finder import EchoFinder
from personaplex_ui.duplex.report import DuplexReport, Echo
from personaplex_ui.duplex.turn_taking import turns_of
from personaplex_ui.duplex.words import NO_WORDS, AssistantWords
from personaplex_ui.errors import PersonaplexError

Stereo = npt.NDArray[np.float32]
"""``[n, 2]``, 24 kHz: left the caller, right the assistant."""

OVER_ECHO_DB = 4.0
"""Speech over an echo stands out of it so much."""

ROOM_DB = 9.0
"""So much more than the strongest path may all paths be."""

ECHO_BEFORE_SEC, ECHO_AFTER_SEC = 0.02, 0.1
"""Around an echo's lag: levels are of 10 ms, and rooms go on sounding."""

LOUDEST_ECHO_DB = -6.0
"""What comes back louder hides no speech: a client may send back all that it plays."""


class NotWanted(PersonaplexError, code="not_wanted"):
    """The report is no longer needed."""


def measure(
    blocks: Iterable[Stereo],
    words: AssistantWords = NO_WORDS,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> DuplexReport:
    """``blocks``: of any length, in order. ``words``: what the assistant said, if it is known.

    Raises:
        NotWanted: ``is_cancelled`` said so.
    """
    caller, assistant = BandLevels(), BandLevels()
    of_assistant, of_caller = EchoFinder(), EchoFinder()
    samples = 0
    for block in blocks:
        if is_cancelled():
            raise NotWanted("The report is no longer needed.")
        left, right = np.ascontiguousarray(block[:, 0]), np.ascontiguousarray(block[:, 1])
        caller.push(left)
        assistant.push(right)
        of_assistant.push(right, left)
        of_caller.push(left, right)
        samples += len(block)
    echo, echo_back = of_assistant.found(), of_caller.found()
    said, answered = caller.finish(), assistant.finish()
    duration_sec = samples / SAMPLE_RATE_HZ
    turns = turns_of(
        speech_in(said, echo_ceiling(answered, said, echo)),
        speech_in(answered, echo_ceiling(said, answered, echo_back)),
        duration_sec,
        words,
    )
    return DuplexReport(duration_sec, turns, echo, echo_back)


def echo_ceiling(source: Levels, other: Levels, echo: Echo | None) -> Levels | None:
    """How loud ``other`` has to be, step by step, to be more than the echo of ``source``.

    The echo's strongest path is known; a room adds others. How loud all are together shows where the source
    is loud, since the other side is silent in most of that time.
    """
    if echo is None or echo.level_db > LOUDEST_ECHO_DB or len(source) == 0:
        return None
    first = round((echo.lag_sec - ECHO_BEFORE_SEC) / STEP_SEC)
    last = round((echo.lag_sec + ECHO_AFTER_SEC) / STEP_SEC)
    silence = float(source.min(initial=0.0))
    padded = np.pad(source, (max(0, last), max(0, -first)), constant_values=silence)
    loudest = np.lib.stride_tricks.sliding_window_view(padded, last - first + 1).max(axis=1)[: len(source)]
    heard: Levels = (other - loudest)[loudest >= SPEECH_DBFS]
    level_db = float(np.median(heard)) if len(heard) else echo.level_db
    level_db = min(max(level_db, echo.level_db), echo.level_db + ROOM_DB)
    return (loudest + level_db + OVER_ECHO_DB).astype(np.float32)
