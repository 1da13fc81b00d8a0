"""Sentences that were said already: found by text and voice, and the oldest forgotten."""

import numpy as np

from personaplex_ui.models.cascade.said_before import SaidBefore
from tests.support.cascade_rig import CascadeRig, text_of
from tests.support.speech_parts import Scripted, pause

SOUND = np.zeros(100, dtype=np.float32)


def test_it_knows_a_sentence_in_the_voice_it_was_said_in():
    said = SaidBefore()
    said.keep("Hello.", "NATF2", SOUND)
    assert said.get("Hello.", "NATF2") is SOUND
    assert said.get("Hello.", "NATM1") is None
    assert said.get("Hello", "NATF2") is None


def test_what_was_used_last_stays_where_room_is_short():
    said = SaidBefore(kept_samples=250)
    for text in ("one", "two"):
        said.keep(text, "NATF2", SOUND)
    said.get("one", "NATF2")
    for _ in range(3):
        said.keep("three", "NATF2", SOUND)
    assert [said.get(text, "NATF2") is not None for text in ("one", "two", "three")] == [True, False, True]
    said.keep("four", "NATF2", np.zeros(1_000, dtype=np.float32))
    assert said.get("four", "NATF2") is None


def test_the_greeting_of_the_next_call_needs_no_synthesis():
    rig = CascadeRig(replier=Scripted("Hello, this is Ann."))
    first = rig.hears(pause(2.0))
    rig.model.leave(0)
    rig.join(0)
    assert text_of(rig.hears(pause(2.0))) == text_of(first)
    assert len(rig.synthesiser.said) == 1
