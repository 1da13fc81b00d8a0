"""TwiML as an XML parser reads it, which is how Twilio does."""

from xml.etree import ElementTree

import pytest

from personaplex_ui.channels.twilio.twiml import (
    PIECE_BYTES,
    connect,
    hang_up,
    join_parameters,
)

NASTY = "You are <b>\"Tom\" & 'Jerry'</b>; a > b\n\tGrüße, 你好 👋 "


def parameters_of(document: str) -> dict[str, str]:
    root = ElementTree.fromstring(document.encode())
    return {str(p.get("name")): str(p.get("value")) for p in root.iter("Parameter")}


def test_it_connects_the_stream_after_the_announcement() -> None:
    document = connect(
        "wss://example.org/stream", {"voice": "NATF2"}, "Hello & <welcome>.", "https://example.org/e?a=1&b=2"
    )
    root = ElementTree.fromstring(document.encode())
    say, connection = list(root)
    assert root.tag == "Response"
    assert (say.tag, say.text) == ("Say", "Hello & <welcome>.")
    assert connection.tag == "Connect"
    assert connection.attrib == {"action": "https://example.org/e?a=1&b=2", "method": "POST"}
    (stream,) = list(connection)
    assert (stream.tag, stream.get("url")) == ("Stream", "wss://example.org/stream")
    assert parameters_of(document) == {"voice": "NATF2"}


def test_without_announcement_and_action_there_is_neither_and_a_farewell_follows() -> None:
    root = ElementTree.fromstring(connect("wss://example.org/stream", {}, farewell="Bye & <bye>.").encode())
    (connection, farewell) = list(root)
    assert connection.attrib == {}
    assert (farewell.tag, farewell.text) == ("Say", "Bye & <bye>.")


@pytest.mark.parametrize(
    "text",
    [
        (NASTY * 100)[:2_000].strip(),
        "x" * 2_000,
        "👋" * 2_000,
        "a b " * 500 + "c",
        " " * 1_000 + "x",
        "short",
    ],
)
def test_a_long_value_is_split_and_comes_together_again(text: str) -> None:
    parameters = parameters_of(connect("wss://example.org/s", {"text_prompt": text, "token": "t"}))
    assert all(len((name + value).encode()) < 500 for name, value in parameters.items())
    assert join_parameters(parameters) == {"text_prompt": text, "token": "t"}
    assert join_parameters(dict(reversed(parameters.items()))) == {"text_prompt": text, "token": "t"}


def test_no_piece_of_a_usual_text_begins_or_ends_with_a_space() -> None:
    text = ("You work for a shop. " * 95).strip()
    pieces = parameters_of(connect("wss://example.org/s", {"text_prompt": text})).values()
    assert len(pieces) > len(text) // PIECE_BYTES
    assert all(piece == piece.strip() for piece in pieces)


def test_an_empty_value_is_left_out() -> None:
    assert parameters_of(connect("wss://example.org/s", {"a": "", "b": "x"})) == {"b": "x"}


@pytest.mark.parametrize(
    ("given", "joined"),
    [
        ({}, {}),
        ({"a_2": "x"}, {"a_2": "x"}),
        ({"a": "x", "a_3": "z"}, {"a": "x", "a_3": "z"}),
        ({"a": "x", "a_1": "y"}, {"a": "x", "a_1": "y"}),
        ({"a": "x", "a_2": "y", "a_b": "z"}, {"a": "xy", "a_b": "z"}),
        ({"a_b": "x", "a_b_2": "y"}, {"a_b": "xy"}),
    ],
)
def test_only_pieces_that_follow_each_other_are_joined(given: dict[str, str], joined: dict[str, str]) -> None:
    assert join_parameters(given) == joined


def test_a_sentence_is_said_before_the_end() -> None:
    root = ElementTree.fromstring(hang_up("Busy & <sorry>.").encode())
    assert [(verb.tag, verb.text) for verb in root] == [("Say", "Busy & <sorry>."), ("Hangup", None)]


def test_the_end() -> None:
    assert [verb.tag for verb in ElementTree.fromstring(hang_up().encode())] == ["Hangup"]
