"""What a page says over its data channel."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.channels.browser.messages import (
    MAX_MESSAGE_CHARACTERS,
    MOST_MESSAGES,
    TOO_MANY,
    WITHIN_SEC,
    Bye,
    ChangeSampling,
    MessageLimit,
    Say,
    parse,
)
from personaplex_ui.engine.speech_model import Sampling
from personaplex_ui.errors import InvalidInput, ProtocolError
from tests.support.clock import Clock


def message(**fields: object) -> str:
    return json.dumps(fields)


def test_what_a_page_says():
    assert parse(message(type="say", text=" Hello\r\nthere ")) == Say("Hello\nthere")
    assert parse(message(type="bye")) == Bye()
    assert parse("handshake") is None, "FastRTC's pages say it"
    change = parse(message(type="sampling", text_temperature=1.2, seed=7, voice="NATM1"))
    assert change == ChangeSampling({"text_temperature": 1.2, "seed": 7})
    assert isinstance(change, ChangeSampling)
    assert change.apply(Sampling(audio_top_k=5)) == Sampling(text_temperature=1.2, seed=7, audio_top_k=5)


@pytest.mark.parametrize("text", [None, "", "  ", 5, ["x"], "x" * 2_001, "a\x00b"])
def test_a_text_that_cannot_be_said(text: object):
    with pytest.raises(InvalidInput) as refused:
        parse(message(type="say", text=text))
    assert refused.value.field == "text"


def test_a_value_that_cannot_be_used():
    change = parse(message(type="sampling", text_temperature="hot"))
    assert isinstance(change, ChangeSampling)
    with pytest.raises(InvalidInput, match="temperature"):
        change.apply(Sampling())


JUNK = [b"bytes", "", "{", "[1]", "7", "null", message(type="dance"), message(), "[" * 5_000, "1" * 5_000]


@pytest.mark.parametrize("junk", [*JUNK, message(type="say", text="x" * MAX_MESSAGE_CHARACTERS)])
def test_junk_gets_a_sentence(junk: object):
    with pytest.raises(ProtocolError, match=r"\.$"):
        parse(junk)


@given(st.text() | st.binary() | st.dictionaries(st.text(), st.none() | st.text()).map(json.dumps))
def test_nothing_else_is_raised(junk: object):
    with contextlib.suppress(ProtocolError, InvalidInput):
        parse(junk)


def test_so_many_in_so_many_seconds_and_it_is_said_once():
    clock = Clock()
    limit = MessageLimit(clock)
    assert all(limit.admit() for _ in range(MOST_MESSAGES))
    with pytest.raises(ProtocolError, match=TOO_MANY):
        limit.admit()
    assert not limit.admit()
    clock.now += WITHIN_SEC
    assert limit.admit()
