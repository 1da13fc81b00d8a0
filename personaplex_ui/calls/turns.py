"""Who spoke when in an ended call, and what that comes to, where there is no recording to measure.

From the loudness of 80 ms at a time, by the rules of the duplex report. All segments are in seconds since the
call went live, in chronological order.
"""

from personaplex_ui.audio.levels import speech_segments
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.calls.transcript import Utterance
from personaplex_ui.duplex.report import Turns
from personaplex_ui.duplex.turn_taking import turns_of as turns_between
from personaplex_ui.duplex.words import AssistantWords, Said


def turns_of(call: EndedCall) -> Turns:
    caller = speech_segments(call.caller_levels_dbfs)
    assistant = speech_segments(call.assistant_levels_dbfs)
    return turns_between(caller, assistant, call.duration_sec, words_of(call.utterances))


def words_of(utterances: tuple[Utterance, ...]) -> AssistantWords:
    """What the assistant said in a call."""
    return AssistantWords(Said(each.start_sec, each.end_sec, each.text) for each in utterances)
