"""What the assistant says to the server: not shown and not heard, whatever pieces it comes in."""

import re
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame, silent_frame
from personaplex_ui.calls.cue_filter import MOST_HELD_FRAMES, CueFilter
from personaplex_ui.calls.cues import Cue, Cues
from personaplex_ui.engine.speech_model import Answer, Heard

MARKER = Cues(ask=("!!!",))
PHRASES = Cues(ask=("!!!", "Let me look that up", "let me see"), human=("I'll connect you",))


def loud(number: int) -> Frame:
    """A frame that can be told from others."""
    return np.full(FRAME_SAMPLES, 0.1 + number / 10_000, dtype=np.float32)


@dataclass
class Told:
    """What a caller gets who is answered with ``steps``: text and whether there is sound, frame by frame."""

    text: str = ""
    frames: list[Frame] = field(default_factory=list[Frame])
    cues: list[Cue] = field(default_factory=list[Cue])
    delays: list[int] = field(default_factory=list[int])

    @property
    def heard(self) -> list[int]:
        """The numbers of the loud frames, as they were heard."""
        levels = [float(frame[0]) for frame in self.frames]
        return [round((level - 0.1) * 10_000) for level in levels if level >= 0.1 - 1e-6]


def tell(cues: Cues, steps: list[tuple[str, bool]]) -> Told:
    """``steps``: text, and whether there is sound. Sound k can be told from the others."""
    told, cue_filter = Told(), CueFilter(cues)
    for number, (text, sounds) in enumerate(steps):
        filtered = cue_filter.feed(Answer(loud(number) if sounds else silent_frame(), text))
        told.text += filtered.late + filtered.answer.text
        told.frames.append(filtered.answer.frame)
        told.cues += filtered.cues
        told.delays.append(cue_filter.delay_frames)
    told.text += cue_filter.finish()
    return told


def loudly(*pieces: str) -> list[tuple[str, bool]]:
    return [(piece, True) for piece in pieces]


SILENCE = [("", False)] * 10


@st.composite
def cut(draw: st.DrawFn, text: str) -> list[str]:
    """``text`` in pieces."""
    places = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)) | {0, len(text)})
    return [text[one:other] for one, other in pairwise(places)] or [text]


texts = st.lists(
    st.sampled_from(
        [" Hello", " there", "!", "!!", " !!!", "!!!", ".", " ", "?", " 3", ".50", "é", " \u201cNo"]
    ),
    max_size=14,
).map("".join)


@settings(max_examples=60)
@given(st.data(), texts)
def test_nothing_of_a_marker_is_shown_and_all_else_is(data: st.DataObject, text: str) -> None:
    steps = loudly(*data.draw(cut(text)), *[""] * 10)
    told = tell(MARKER, steps)
    found = re.findall(r"!!!+", text)
    assert told.text == re.sub(r"\s*!!![.,;:!?]*", "", text)
    assert told.cues == [Cue.ASK] * len(re.findall(r"!!![.,;:!?]*", text))
    assert len(told.frames) == len(steps)
    assert not told.delays[-1]
    if not found:
        assert told.heard == list(range(len(steps)))


words = st.sampled_from(["let", "me", "look", "Let", "that", "see", "letter", "connect", "you", "I'll"])
plain = st.lists(words, min_size=1, max_size=5).map(" ".join)
phrases = st.sampled_from(
    ["Let me look that up", "let me SEE", "I\u2019ll connect you", "Let me, look that up"]
)


@st.composite
def sentences(draw: st.DrawFn) -> list[tuple[str, bool]]:
    """Sentences, and whether each is a phrase. One that is not begins with another word."""
    return draw(
        st.lists(
            st.one_of(
                st.tuples(plain.map("So {}".format), st.just(False)), st.tuples(phrases, st.just(True))
            ),
            max_size=4,
        )
    )


@settings(max_examples=60)
@given(st.data(), sentences())
def test_phrases_are_neither_shown_nor_heard(data: st.DataObject, said: list[tuple[str, bool]]) -> None:
    steps: list[tuple[str, bool]] = []
    secret: set[int] = set()
    shown: list[int] = []
    for sentence, is_cue in said:
        first = len(steps)
        first_piece, *pieces = data.draw(cut(f"{sentence}."))
        steps += loudly(f" {first_piece}", *pieces)
        (secret.update if is_cue else shown.extend)(range(first, len(steps)))
        steps += SILENCE
    told = tell(PHRASES, [*steps, *SILENCE * 5])
    assert told.text == "".join(f" {sentence}." for sentence, is_cue in said if not is_cue)
    assert len(told.cues) == sum(is_cue for _, is_cue in said)
    assert not secret & set(told.heard)
    assert told.heard == shown
    assert max(told.delays) <= MOST_HELD_FRAMES + 1
    assert not told.delays[-1]


def test_words_that_become_no_phrase_are_heard_a_little_later() -> None:
    steps = [*loudly(" Let", " me", " look", " at", " it", "."), *SILENCE]
    told = tell(PHRASES, steps)
    assert told.text == " Let me look at it."
    assert [bool(frame.any()) for frame in told.frames[:4]] == [False, False, False, True]
    assert told.heard == [0, 1, 2, 3, 4, 5]
    assert (told.delays[5], told.delays[-1], told.cues) == (3, 0, [])


def test_what_is_held_back_is_bounded() -> None:
    told = tell(PHRASES, [*loudly(" Let"), *loudly(*[""] * 100)])
    assert told.text == " Let"
    assert max(told.delays) <= MOST_HELD_FRAMES + 1


def test_a_word_that_goes_on_makes_no_phrase() -> None:
    told = tell(PHRASES, loudly(" let", " me", " see", "k", " help"))
    assert (told.text, told.cues) == (" let me seek help", [])
    told = tell(PHRASES, loudly(" let", " me", " see", *[""] * 7))
    assert (told.text, told.cues, told.heard) == ("", [Cue.ASK], [])


def test_only_the_beginning_of_a_sentence_gives_a_phrase() -> None:
    said = (" I", " said", " let", " me", " see", ".")
    assert tell(PHRASES, loudly(*said)).text == " I said let me see."
    paused = [*loudly(" Well"), *[("", False)] * 20, *loudly(" let", " me", " see", ".")]
    assert tell(PHRASES, paused).cues == [Cue.ASK]


def test_the_rest_of_the_sentence_is_said() -> None:
    told = tell(PHRASES, loudly(" I'", "ll", " connect", " you", " to", " Ann", "."))
    assert (told.text, told.cues) == (" to Ann.", [Cue.HUMAN])
    assert told.heard == [4, 5, 6]


def test_the_longer_one_of_two_phrases_is_taken() -> None:
    cues = Cues(ask=("let me see",), human=("let me see the manager",))
    said = loudly(" Let", " me", " see", " the", " manager", ".", " Bye")
    assert (tell(cues, said).cues, tell(cues, said).text) == ([Cue.HUMAN], " Bye")
    said = loudly(" Let", " me", " see", " the", " man", " Bye")
    assert (tell(cues, said).cues, tell(cues, said).text) == ([Cue.ASK], " the man Bye")


def test_after_a_marker_it_is_mute_until_the_next_word() -> None:
    told = tell(MARKER, [*loudly(" check", "!!!"), *loudly(*[""] * 20), *loudly(" One", " moment")])
    assert told.text == " check One moment"
    assert told.heard[:3] == [0, 1, 2]
    assert not any(each in told.heard for each in range(9, 22))
    assert told.heard[-2:] == [22, 23]


def test_a_marker_by_itself_is_mute_at_once() -> None:
    told = tell(MARKER, [("", False), (" !!!", False), *loudly(*[""] * 20)])
    assert (told.heard, told.text, told.cues) == ([], "", [Cue.ASK])


def test_an_exclamation_mark_does_not_stop_the_sound() -> None:
    said = loudly(" Great", "!", "", "", "", "", "", " So")
    told = tell(PHRASES, said)
    assert (told.text, told.heard) == (" Great! So", list(range(8)))


def test_sound_before_its_words_is_not_heard_if_they_become_a_phrase() -> None:
    said = [*SILENCE, *loudly("", "", " let", "", "", " me", "", " see", "."), *SILENCE]
    assert tell(PHRASES, said).heard == []
    other = [*SILENCE, *loudly("", "", " some", "", " time"), *SILENCE]
    told = tell(PHRASES, other)
    assert (told.heard, told.delays[-1]) == ([10, 11, 12, 13, 14], 0)
    assert tell(PHRASES, [*SILENCE, *loudly(*[""] * 9), *SILENCE]).heard == list(range(10, 19))


def test_what_the_model_heard_is_told_at_once() -> None:
    cue_filter, heard = CueFilter(PHRASES), Heard("Hello", 5)
    answer = cue_filter.feed(Answer(loud(0), " Let", heard)).answer
    assert (answer.heard, answer.text, answer.frame.any()) == (heard, "", False)


@pytest.mark.parametrize("text", ["!!!", " !!!", "!!! ", "!! !"])
def test_the_end_of_a_call_gives_back_what_is_no_cue(text: str) -> None:
    cue_filter = CueFilter(MARKER)
    filtered = cue_filter.feed(Answer(silent_frame(), text))
    shown = filtered.late + filtered.answer.text + cue_filter.finish()
    assert shown == {"!!! ": " ", "!! !": "!! !"}.get(text, "")
