"""A conversation with the cascade, frame by frame, with parts that always do the same."""

import logging

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SAMPLES
from personaplex_ui.engine.speech_model import (
    MAX_TEXTS_WAITING,
    Answer,
    HearsWords,
    TakesTurns,
    WorksBesides,
)
from personaplex_ui.errors import SpeakQueueFull
from personaplex_ui.models.cascade.caller import APOLOGY, NOT_HEARD
from personaplex_ui.speech.parts import Turn
from tests.support.cascade_rig import ROLE, CascadeRig, longest_gap, sounding, text_of
from tests.support.sounds import tone
from tests.support.speech_parts import Humming, Listed, Scripted, pause, says, work_off

STORY = ("Once upon a time there was a baker.", "She baked bread.", "It was good.", "The end.")
PAUSE_FRAMES = 7


def storyteller(**options: object) -> CascadeRig:
    return CascadeRig(replier=Scripted(answers={"Tell me a story.": STORY}, **options))  # pyright: ignore[reportArgumentType]


def test_it_greets_and_answers_a_question_in_sound_and_text():
    rig = CascadeRig(replier=Scripted("Hello, this is Ann."))
    assert text_of(rig.hears(pause(2.0))) == " Hello, this is Ann."
    answers = rig.hears(says(300), pause(2.5))
    assert text_of(answers) == " You said: What do you sell?"
    assert rig.replier.asked == [
        (Turn("assistant", "Hello, this is Ann."), Turn("caller", "What do you sell?"))
    ]
    assert rig.recogniser.contexts == [ROLE]
    assert {voice for _, voice in rig.synthesiser.said} == {"NATF2"}


def test_the_answer_begins_after_the_end_of_the_turn_and_at_once():
    rig = CascadeRig()
    answers = rig.hears(says(300, 1.2), pause(3.0))
    assert sounding(answers)[0] == 15 + PAUSE_FRAMES - 1


def test_a_server_is_not_asked_for_an_answer_before_the_end_of_the_turn():
    rig = CascadeRig(remote=True)
    rig.hears(says(300, 1.2), pause(0.48))
    assert len(rig.recogniser.heard) == 1
    assert rig.replier.asked == []
    assert text_of(rig.hears(pause(3.0))) == " You said: What do you sell?"


def test_a_short_pause_is_part_of_the_question_and_what_was_begun_is_thrown_away():
    rig = CascadeRig()
    answers = rig.hears(says(400, 0.8), pause(0.4), says(400, 0.8), pause(0.4))
    assert sounding(answers) == []
    answers += rig.hears(pause(2.0))
    assert text_of(answers) == " You said: When do you open?"
    first, second = rig.recogniser.heard
    assert second > first + 0.8  # all of it again
    assert len(rig.replier.asked) == 2
    assert rig.replier.asked[1] == (Turn("caller", "When do you open?"),)


def test_recognition_begins_in_the_pause_before_the_turn_is_over():
    rig = CascadeRig()
    rig.hears(says(300), pause(0.16))
    assert rig.recogniser.heard == []
    rig.hears(pause(0.16))
    assert len(rig.recogniser.heard) == 1
    rig.hears(pause(2.0))
    assert len(rig.recogniser.heard) == 1


def test_spoken_over_it_fades_out_in_the_second_frame_and_forgets_the_rest():
    rig = storyteller()
    rig.hears(says(500), pause(1.2))
    over = rig.hears(says(300, 1.2))
    fading = over[1].frame
    assert np.any(fading[:240])
    assert abs(fading[239]) < 0.01
    assert not np.any(fading[240:])
    assert sounding(over[2:]) == []
    said = text_of(rig.hears(pause(3.0)))
    assert said == " You said: What do you sell?"
    assert rig.replier.closed == 1


def test_the_history_holds_only_what_was_heard():
    rig = storyteller()
    heard = text_of(rig.hears(says(500), pause(1.2)) + rig.hears(says(300, 1.2)))
    rig.hears(pause(2.0))
    assert " Once upon".startswith(heard[:10])
    assert rig.replier.asked[-1] == (
        Turn("caller", "Tell me a story."),
        Turn("assistant", heard.strip()),
        Turn("caller", "What do you sell?"),
    )
    assert heard.strip() != STORY[0]


def test_whoever_goes_on_before_the_answer_is_heard_asks_one_question():
    rig = CascadeRig()
    rig.synthesiser.going.clear()
    rig.busy = True
    rig.hears(says(300), pause(0.64))
    rig.busy = False
    rig.synthesiser.going.set()
    work_off(rig.queue, most=1)  # the words are known, the answer is not
    rig.hears(says(600), pause(3.0))
    assert rig.replier.asked[-1] == (Turn("caller", "What do you sell? And what does it cost?"),)


def test_a_noise_before_the_answer_is_heard_does_not_lose_the_question():
    rig = CascadeRig(busy=True)
    rig.hears(says(300), pause(0.56))
    work_off(rig.queue, most=2)  # the greeting, and the words
    assert text_of(rig.hears(pause(0.08), tone(0.4, 1_000))) == ""
    rig.busy = False
    assert text_of(rig.hears(pause(3.0))) == " You said: What do you sell?"


@pytest.mark.parametrize("coughs", [1, 2, 3])
def test_coughs_stop_it_in_no_word(coughs: int):
    undisturbed, disturbed = storyteller(), storyteller()
    whole = undisturbed.hears(says(500), pause(8.0))
    noises = [tone(0.08, amplitude=0.5), pause(0.16)] * coughs
    answers = disturbed.hears(says(500), pause(1.6), *noises, pause(6.4 - 0.24 * coughs))
    assert text_of(answers) == text_of(whole)
    assert len(disturbed.replier.asked) == 1


def test_sentences_follow_each_other_without_a_gap_and_are_made_while_others_are_said():
    rig = storyteller()
    answers = rig.hears(says(500), pause(8.0))
    assert text_of(answers) == " " + " ".join(STORY)
    first = sounding(answers)[0]
    assert longest_gap(answers) <= FRAME_SAMPLES
    rig = storyteller()
    rig.hears(says(500), pause(0.88))
    assert len(rig.replier.fetched) == 3  # the one being said, and two ahead
    assert first > 0


def test_nothing_of_a_sentence_is_heard_before_all_of_it_is_there():
    rig = storyteller()
    rig.busy = True
    rig.hears(says(500), pause(0.56))
    work_off(rig.queue, most=2)  # the greeting, and the words
    rig.hears(pause(0.08))
    work_off(rig.queue, most=1)  # the first sentence is known, not its sound
    assert rig.replier.fetched == [STORY[0]]
    assert sounding(rig.hears(pause(2.0))) == []
    rig.busy = False
    answers = rig.hears(pause(1.4))
    assert longest_gap(answers) <= FRAME_SAMPLES
    assert text_of(answers).startswith(" Once upon a time there was a baker.")


def test_a_caller_who_never_pauses_is_answered_after_half_a_minute_and_can_then_stop_it():
    rig = CascadeRig(replier=Scripted(answers={"What do you sell?": STORY}))
    word = np.concatenate([says(300, 0.32), pause(0.08)])
    answers = rig.hears(*[word] * 77)
    assert sounding(answers)[0] == pytest.approx(30.0 / 0.08, abs=3)
    assert max(rig.recogniser.heard) <= 30.0
    rig.hears(pause(0.4))
    assert sounding(rig.hears(word)[2:]) == []


def test_sound_without_words_is_not_answered():
    rig = CascadeRig()
    answers = rig.hears(tone(2.0, 1_000), pause(3.0))
    assert (sounding(answers), text_of(answers), rig.replier.asked) == ([], "", [])


def test_texts_are_said_between_answers_up_to_ten_and_in_sentences():
    rig = CascadeRig()
    for _ in range(MAX_TEXTS_WAITING):
        rig.model.speak(0, "One moment please. I look it up.")
    with pytest.raises(SpeakQueueFull):
        rig.model.speak(0, "One too many.")
    answers = rig.hears(pause(14.0))
    assert text_of(answers) == " One moment please. I look it up." * MAX_TEXTS_WAITING
    assert rig.synthesiser.said[:2] == [("One moment please.", "NATF2"), ("I look it up.", "NATF2")]


def test_a_text_is_said_before_the_rest_of_an_answer():
    rig = storyteller()
    rig.hears(says(500), pause(1.2))
    rig.model.speak(0, "Goodbye!")
    assert "baker. Goodbye! She baked bread." in " " + text_of(rig.hears(pause(5.0)))


def test_whoever_interrupts_loses_one_text_of_those_that_wait():
    rig = CascadeRig()
    for text in ("One and two and three and four.", "Five."):
        rig.model.speak(0, text)
    rig.hears(pause(0.4), says(300))
    said = text_of(rig.hears(pause(3.0)))
    assert "four" not in said
    assert "Five." in said


def test_words_come_with_their_sound():
    rig = CascadeRig()
    rig.model.speak(0, "one two three four five six")
    answers = rig.hears(pause(2.0))
    frames = [number for number, answer in enumerate(answers) if answer.text]
    assert [answer.text for answer in answers if answer.text] == [
        " one", " two", " three", " four", " five", " six"
    ]  # fmt: skip
    sound = sounding(answers)
    assert sound[0] <= frames[0]
    assert sound[-1] - 1 <= frames[-1] <= sound[-1]
    assert np.ptp(np.diff(frames)) <= 1


@pytest.mark.parametrize(("failing", "said"), [("recogniser", NOT_HEARD), ("replier", APOLOGY)])
def test_a_part_that_fails_is_told_in_a_spoken_sentence_and_the_call_goes_on(
    failing: str, said: str, caplog: pytest.LogCaptureFixture
):
    rig = CascadeRig()
    part = getattr(rig, failing)
    part.failing = "The server says 429. Wait a minute."
    with caplog.at_level(logging.WARNING):
        answers = rig.hears(says(300), pause(5.0), says(400), pause(5.0))
    assert text_of(answers) == f" {said}" * 2
    assert sounding(answers)
    assert caplog.text.count("The server says 429. Wait a minute.") == 1
    part.failing = ""
    assert text_of(rig.hears(says(300), pause(3.0))) == " You said: What do you sell?"


def test_an_answer_cut_short_is_said_as_far_as_it_came():
    rig = storyteller(failing="The stream ended early.", fails_after=2)
    said = text_of(rig.hears(says(500), pause(8.0)))
    assert said == f" {STORY[0]} {STORY[1]} {APOLOGY}"


def test_without_a_voice_the_answer_is_text_and_silence():
    rig = CascadeRig(synthesiser=Humming("The server says 500. Try again."))
    answers = rig.hears(says(300), pause(3.0))
    assert text_of(answers) == " You said: What do you sell?"
    assert sounding(answers) == []


def test_callers_in_one_step_are_strangers_to_each_other():
    rig = CascadeRig()
    rig.join(1, "VARM1")
    one, other = says(300), says(400)
    silence = pause(3.0)
    texts = {0: "", 1: ""}
    for frame_0, frame_1 in zip(
        np.concatenate([one, silence])[: 50 * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES),
        np.concatenate([other, silence])[: 50 * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES),
        strict=True,
    ):
        work_off(rig.queue)
        for slot, answer in rig.model.step({0: frame_0, 1: frame_1}).items():
            texts[slot] += answer.text
    assert texts == {0: " You said: What do you sell?", 1: " You said: When do you open?"}
    assert {voice for _, voice in rig.synthesiser.said} == {"NATF2", "VARM1"}


def test_who_leaves_has_nothing_done_for_them_any_more():
    rig = storyteller()
    rig.busy = True
    rig.hears(says(500), pause(0.8))
    assert rig.model.works_for(0)
    rig.model.leave(0)
    rig.model.leave(0)
    assert not rig.model.works_for(0)
    rig.busy = False
    work_off(rig.queue)
    assert rig.recogniser.heard == rig.replier.fetched == rig.synthesiser.said == []


def test_a_clip_waits_until_workers_have_finished():
    rig = storyteller()
    assert isinstance(rig.model, WorksBesides)
    rig.hears(pause(0.8))
    assert not rig.model.works_for(0)
    rig.busy = True
    rig.hears(says(500), pause(0.24))
    assert rig.model.works_for(0)
    work_off(rig.queue)
    assert not rig.model.works_for(0)


def test_a_replier_without_end_is_cut_off():
    rig = CascadeRig(replier=Scripted(answers={"Tell me a story.": ["On and on."] * 500}))
    said = text_of(rig.hears(says(500), pause(60.0)))
    assert said == " On and on." * 40
    assert rig.replier.closed == 1


def test_a_quiet_call_costs_nothing():
    rig = CascadeRig()
    answers = rig.hears(pause(20.0))
    assert rig.recogniser.heard == []
    assert sounding(answers) == []
    assert not rig.model.works_for(0)


def test_an_empty_recogniser_result_and_faults_never_leave_a_step():
    rig = CascadeRig(recogniser=Listed(failing="down"), replier=Scripted(failing="down"))
    rig.synthesiser.failing = "down"
    answers = rig.hears(*[says(300), pause(1.0)] * 5)
    assert len(answers) == round(5 * 2.2 / 0.08 + 0.5)
    assert NOT_HEARD in text_of(answers)


# What it heard ---------------------------------------------------------------------------------------


def heard_in(answers: list[Answer]) -> list[tuple[str, int, int]]:
    """What it heard, from which frame to before which."""
    return [
        (answer.heard.text, number + 1 - answer.heard.begun_ago, number + 1 - answer.heard.ended_ago)
        for number, answer in enumerate(answers)
        if answer.heard is not None
    ]


def test_it_tells_what_it_heard_and_when_that_was_said():
    rig = CascadeRig()
    answers = rig.hears(pause(0.8), says(300, 1.2), pause(4.0), says(400, 0.8), pause(1.0))
    assert heard_in(answers) == [(" What do you sell?", 10, 25), (" When do you open?", 75, 85)]
    assert isinstance(rig.model, HearsWords)
    assert rig.model.heard_by


def test_late_words_are_told_with_the_time_when_they_were_said():
    rig = CascadeRig(busy=True)
    answers = rig.hears(says(300, 1.2), pause(1.0), says(500, 0.8), pause(1.0))  # 27.5 frames later
    assert heard_in(answers) == []
    rig.busy = False
    answers += rig.hears(pause(0.8))
    assert heard_in(answers) == [(" What do you sell?", 0, 15), (" Tell me a story.", 27, 38)]


def test_whoever_speaks_over_it_is_heard_too():
    rig = storyteller()
    answers = rig.hears(says(500, 0.8), pause(2.0), says(300, 0.8), pause(2.0))
    assert heard_in(answers) == [(" Tell me a story.", 0, 10), (" What do you sell?", 35, 45)]


def test_what_never_pauses_is_told_in_parts_that_follow_each_other():
    rig = CascadeRig()
    answers = rig.hears(np.tile(np.concatenate([says(300, 1.84), pause(0.16)]), 35), pause(1.0))
    parts = heard_in(answers)
    assert [text for text, _, _ in parts] == [" What do you sell?"] * 3
    assert [begun for _, begun, _ in parts] == [0, 375, 750]
    assert [ended for _, _, ended in parts[:-1]] == [375, 749]
    assert parts[-1][2] == 873


def test_without_words_nothing_was_heard():
    rig = CascadeRig(Listed(failing="No."))
    assert heard_in(rig.hears(says(300), pause(2.0))) == []
    assert heard_in(CascadeRig().hears(tone(1.0, 800), pause(2.0))) == []


# What it can be told besides sound ---------------------------------------------------------------------


def test_what_the_caller_writes_is_answered_in_the_place_of_what_is_being_said():
    rig = storyteller()
    rig.hears(says(500), pause(1.2))  # the story has begun
    rig.model.read(0, "What do you sell?")
    answers = rig.hears(pause(3.0))
    assert text_of(answers) == " You said: What do you sell?"
    assert rig.replier.asked[-1][-1] == Turn("caller", "What do you sell?")


def test_it_falls_silent_when_it_is_told_to_without_a_click_and_then_listens():
    rig = storyteller()
    assert sounding(rig.hears(says(500), pause(1.2)))
    rig.model.fall_silent(0)
    answers = rig.hears(pause(3.0))
    assert sounding(answers) in ([], [0])  # the fade
    assert text_of(rig.hears(says(300), pause(3.0))) == " You said: What do you sell?"
    rig.model.fall_silent(0)  # with nothing to say
    assert isinstance(rig.model, TakesTurns)


def test_one_caller_may_have_a_replier_of_their_own():
    rig = CascadeRig()
    rig.join(1)
    own = Scripted(answers={"What do you sell?": ("Nothing.",)})
    rig.model.answer_with(1, own)
    assert text_of(rig.hears(says(300), pause(3.0), slot=1)) == " Nothing."
    assert text_of(rig.hears(says(300), pause(3.0))) == " You said: What do you sell?"
