"""From when each side spoke to what they did with each other's turns. Pure; it knows no sound.

The terms and where they come from: docs/EVALUATION.md, "The duplex report". Whatever tells of an ended call
who answered, interrupted or spoke over whom gets it from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from personaplex_ui.audio.levels import Segment
from personaplex_ui.duplex.report import Turns
from personaplex_ui.duplex.stretches import (
    begun_within,
    first_from,
    intersections,
    joined,
    last_before,
    silences,
)
from personaplex_ui.duplex.words import NO_WORDS, AssistantWords

UTTERANCE_GAP_SEC = 0.5
"""Speech of one side that goes on after a shorter silence is the same utterance."""

SHORT_SEC = 1.0
"""A backchannel is shorter."""

GIVES_WAY_WITHIN_SEC = 1.0
"""An assistant that goes on for longer after what the caller said over it did not give way."""

GOES_ON_WITHIN_SEC = 1.0
"""A caller who speaks so soon after the assistant began, over it, had only paused."""

LONGEST_PAUSE_SEC = 2.0
"""After a longer silence the caller has the turn no more: what follows is dead air."""

TERMINAL_OVERLAP_SEC = 0.1
"""An answer that begins so little before the caller's end has waited for it: its gap is 0."""

PAUSE_AROUND_BACKCHANNEL_SEC = 0.5
"""Between the caller's speech and a backchannel in a pause of it, before and after."""


def turns_of(
    caller: Sequence[Segment],
    assistant: Sequence[Segment],
    duration_sec: float,
    words: AssistantWords = NO_WORDS,
) -> Turns:
    """``caller``, ``assistant``: stretches of speech in the order of time, none within 0.2 s of the next of
    its side. ``words``: what the assistant said, if it is known."""
    found = _Found(caller, joined(caller, UTTERANCE_GAP_SEC), words)
    before_end_sec = 0.0
    for utterance in joined(assistant, UTTERANCE_GAP_SEC):
        found.classify(utterance, before_end_sec)
        before_end_sec = utterance.end_sec
    dead_air = silences(caller, assistant, duration_sec)
    return Turns(
        caller=tuple(caller),
        assistant=tuple(assistant),
        overlaps=tuple(intersections(caller, assistant)),
        responses=tuple(found.responses),
        stops=tuple(found.stops),
        ignored=tuple(found.ignored),
        take_overs=tuple(found.take_overs),
        talk_overs=tuple(found.talk_overs),
        backchannels=tuple(found.backchannels),
        dead_air=tuple(each for each in dead_air if each.end_sec - each.start_sec > LONGEST_PAUSE_SEC),
    )


@dataclass(slots=True)
class _Found:
    """``utterances``: the caller's."""

    caller: Sequence[Segment]
    utterances: Sequence[Segment]
    words: AssistantWords
    responses: list[Segment] = field(default_factory=list[Segment])
    stops: list[Segment] = field(default_factory=list[Segment])
    ignored: list[Segment] = field(default_factory=list[Segment])
    take_overs: list[Segment] = field(default_factory=list[Segment])
    talk_overs: list[Segment] = field(default_factory=list[Segment])
    backchannels: list[Segment] = field(default_factory=list[Segment])

    def classify(self, said: Segment, before_end_sec: float) -> None:
        """One utterance of the assistant. ``before_end_sec``: the end of the one before."""
        before = last_before(self.caller, said.start_sec)
        after = first_from(self.caller, said.start_sec)
        if before is None:
            self._find_interruption(said, said.start_sec)
        elif before.end_sec - said.start_sec > TERMINAL_OVERLAP_SEC:
            self._began_over(said, before)
        elif before_end_sec <= before.end_sec:
            self._began_after(said, before, after)
        else:  # it goes on by itself
            self._find_interruption(said, said.start_sec)

    def _began_over(self, said: Segment, caller: Segment) -> None:
        """The caller was speaking."""
        keeps_turn = caller.end_sec >= said.end_sec or self._goes_on(said.end_sec)
        if self._is_short(said) and keeps_turn:
            self.backchannels.append(said)
            return
        self.talk_overs.append(Segment(said.start_sec, min(caller.end_sec, said.end_sec)))
        self._find_interruption(said, caller.end_sec)

    def _began_after(self, said: Segment, before: Segment, after: Segment | None) -> None:
        """The caller had spoken, and nobody since."""
        gap = Segment(min(before.end_sec, said.start_sec), said.start_sec)
        gap_sec = gap.end_sec - gap.start_sec
        over_before_sec = min(said.end_sec, said.start_sec + GOES_ON_WITHIN_SEC)
        paused = gap_sec <= LONGEST_PAUSE_SEC
        collides = paused and after is not None and after.start_sec < over_before_sec
        if self._is_short(said) and (
            collides or (gap_sec <= PAUSE_AROUND_BACKCHANNEL_SEC and self._goes_on(said.end_sec))
        ):
            self.backchannels.append(said)
        elif collides and after is not None:
            self.take_overs.append(Segment(said.start_sec, after.start_sec))
            self._find_interruption(said, after.end_sec)
        else:
            self.responses.append(gap)
            self._find_interruption(said, said.start_sec)

    def _find_interruption(self, said: Segment, from_sec: float) -> None:
        """The first time, later than ``from_sec``, that the caller claims the turn in ``said``."""
        for caller in begun_within(self.utterances, from_sec, said.end_sec):
            over = Segment(caller.start_sec, said.end_sec)
            if said.end_sec - caller.end_sec < GIVES_WAY_WITHIN_SEC:
                if not self.words.complete_at(said.end_sec):
                    self.stops.append(over)
                return
            if caller.end_sec - caller.start_sec >= SHORT_SEC:
                self.ignored.append(over)
                return

    def _goes_on(self, after_sec: float) -> bool:
        """Whether the caller speaks again at once."""
        following = first_from(self.caller, after_sec)
        return following is not None and following.start_sec - after_sec <= PAUSE_AROUND_BACKCHANNEL_SEC

    def _is_short(self, said: Segment) -> bool:
        return said.end_sec - said.start_sec < SHORT_SEC and self.words.may_be_backchannel(said)
