"""What a page is told, and that it is told only what has changed."""

import json
from dataclasses import replace

import pytest

from personaplex_ui.calls.conversation import Conversation
from personaplex_ui.calls.snapshot import End, Phase, Snapshot
from personaplex_ui.channels.browser.facts import FactsFeed, facts_of

LIVE = Snapshot("id", Phase.LIVE, elapsed_sec=12.34, max_sec=600.0)


def talking() -> Conversation:
    conversation = Conversation()
    conversation.say(" Hello", 1.0, 1.08)
    conversation.typed("Say hello.", 2.0)
    return conversation


def test_facts_are_plain_values():
    snapshot = replace(LIVE, notes=("Recording stopped.",), answer_sec=0.7049, preparing_progress=1 / 3)
    facts = facts_of(snapshot, talking().lines)
    assert json.loads(json.dumps(facts)) == facts
    assert [(line["n"], line["who"], line["text"]) for line in facts["lines"]] == [
        (0, "assistant", "Hello"),
        (1, "typed", "Say hello."),
    ]
    told = {name: facts[name] for name in ("type", "phase", "elapsed_sec", "answer_sec", "progress", "end")}
    assert told == {
        "type": "facts",
        "phase": "live",
        "elapsed_sec": 12.3,
        "answer_sec": 0.7,
        "progress": 0.33,
        "end": None,
    }
    ended = facts_of(replace(LIVE, phase=Phase.ENDED, reason="You hung up.", end=End.HUNG_UP), ())
    assert (ended["phase"], ended["end"], ended["reason"]) == ("ended", "hung_up", "You hung up.")


@pytest.mark.parametrize(("wait_sec", "told"), [(None, None), (0.0, 0), (0.1, 5), (95.0, 95), (95.1, 100)])
def test_a_guess_is_told_in_steps(wait_sec: float | None, told: int | None):
    waiting = Snapshot("id", Phase.WAITING, place=2, waiting=3)
    facts = facts_of(waiting, (), wait_sec)
    assert (facts["place"], facts["waiting"], facts["wait_sec"]) == (2, 3, told)


def test_nothing_is_told_twice_but_the_seconds():
    feed, conversation = FactsFeed(), talking()
    first = feed.news(LIVE, conversation)
    assert first is not None
    assert (first["seq"], len(first["lines"])) == (1, 2)
    assert feed.news(replace(LIVE, elapsed_sec=12.9), conversation) is None
    second = feed.news(replace(LIVE, elapsed_sec=13.0), conversation)
    assert second is not None
    assert (second["seq"], second["elapsed_sec"], second["lines"]) == (2, 13.0, [])
    third = feed.news(replace(LIVE, elapsed_sec=13.1, notes=("Goodbye in 10 s.",)), conversation)
    assert third is not None
    assert third["notes"] == ["Goodbye in 10 s."]


def test_only_changed_lines_are_told_however_long_the_last_message_is_ago():
    feed, conversation = FactsFeed(), talking()
    feed.news(LIVE, conversation)
    conversation.say(" there", 1.1, 1.2)
    conversation.say(" Another", 9.0, 9.1)  # meanwhile nothing could be sent
    news = feed.news(LIVE, conversation)
    assert news is not None
    assert [(line["n"], line["text"]) for line in news["lines"]] == [(0, "Hello there"), (2, "Another")]


def test_of_a_connection_without_a_call_the_refusal_is_told():
    feed = FactsFeed()
    assert feed.news(Snapshot("", Phase.WAITING)) is not None
    refused = feed.news(Snapshot("", Phase.ENDED, reason="No.", end=End.REFUSED))
    assert refused is not None
    assert (refused["call_id"], refused["end"], refused["lines"]) == ("", "refused", [])
