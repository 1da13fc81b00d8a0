"""What a Moshi client asks for in the query that begins its call."""

import pytest

from personaplex_ui.channels.moshi.query import AudioFormat, Extensions, parse_extensions, parse_query


def test_an_empty_query_leaves_all_to_the_server():
    assert parse_query({}) == {}


@pytest.mark.parametrize(
    ("query", "extensions"),
    [
        ({}, Extensions()),
        ({"state": "0", "facts": "yes", "audio": "mp3", "record": ""}, Extensions()),
        ({"state": "1"}, Extensions(tells_state=True)),
        ({"audio": "opus"}, Extensions()),
        ({"audio": " pcm16 "}, Extensions(audio=AudioFormat.PCM16)),
        ({"facts": "1", "record": "1"}, Extensions(tells_facts=True, record=True)),
    ],
)
def test_extensions_are_for_those_who_ask(query: dict[str, str], extensions: Extensions):
    assert parse_extensions(query) == extensions


@pytest.mark.parametrize(("value", "given"), [("1", {"greedy": True}), ("0", {}), ("", {}), ("true", {})])
def test_greedy_is_asked_for_by_a_one(value: str, given: dict[str, object]):
    assert parse_query({"greedy": value}) == given


def test_the_official_clients_query_is_understood():
    query = {
        "worker_auth_id": "7",
        "text_temperature": "0.7",
        "text_topk": "25",
        "audio_temperature": "0.8",
        "audio_topk": "250",
        "pad_mult": "0",
        "text_seed": "123456",
        "audio_seed": "654321",
        "repetition_penalty_context": "64",
        "repetition_penalty": "1",
        "text_prompt": "You are a teacher.",
        "voice_prompt": "NATF0.pt",
    }
    assert parse_query(query) == {
        "voice": "NATF0.pt",
        "text_prompt": "You are a teacher.",
        "text_temperature": "0.7",
        "text_top_k": "25",
        "audio_temperature": "0.8",
        "audio_top_k": "250",
        "seed": "123456",
    }


def test_an_empty_role_is_no_role_but_other_empty_values_were_not_given():
    assert parse_query({"text_prompt": "", "voice_prompt": " ", "seed": "", "audio_topk": ""}) == {
        "text_prompt": ""
    }
    assert parse_query({"seed": "-1"}) == {"seed": "-1"}
