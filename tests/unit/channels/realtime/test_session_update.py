"""How a session is set up, in either dialect, by clients that know what they want and by others."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.channels.realtime.faults import RealtimeFault
from personaplex_ui.channels.realtime.items import Dialect
from personaplex_ui.channels.realtime.session_config import SessionConfig, TurnDetection
from personaplex_ui.channels.realtime.session_update import dialect_of, updated
from personaplex_ui.channels.realtime.sound import Format
from personaplex_ui.engine.speech_model import Sampling
from personaplex_ui.errors import InvalidInput
from tests.unit.channels.realtime.test_client_events import json_values

USUAL = SessionConfig("NATF2", "Be kind.")
TOOL: dict[str, Any] = {
    "type": "function",
    "name": "f",
    "description": "",
    "parameters": {"type": "object", "properties": {}},
}


class FourVoices:
    default = "NATF2"

    def names(self) -> list[str]:
        return ["NATF0", "NATF2", "NATM3", "own"]

    def check(self, value: object) -> str:
        name = str(value).removesuffix(".pt")
        if name not in self.names():
            raise InvalidInput("voice", f"There is no voice “{name[:20]}”.")
        return name


VOICES = FourVoices()


def change(values: dict[str, Any], config: SessionConfig = USUAL) -> SessionConfig:
    return updated(config, values, VOICES)


def fault_of(values: dict[str, Any]) -> RealtimeFault:
    with pytest.raises(RealtimeFault) as caught:
        change(values)
    return caught.value


def audio(side: str, **values: Any) -> dict[str, Any]:
    return {"type": "realtime", "audio": {side: values}}


@pytest.mark.parametrize(
    ("values", "config"),
    [
        ({}, USUAL),
        ({"unknown": 1, "model": "gpt-realtime", "tracing": "auto"}, USUAL),
        ({"instructions": " Sing. "}, replace(USUAL, instructions="Sing.")),
        ({"instructions": {"type": "constant", "text": "Sing."}}, replace(USUAL, instructions="Sing.")),
        ({"voice": "NATF0.pt"}, replace(USUAL, voice="NATF0")),
        (audio("output", voice="own"), replace(USUAL, voice="own")),
        (audio("output", voice={"id": "own"}), replace(USUAL, voice="own")),
        (audio("input", format={"type": "audio/pcmu"}), replace(USUAL, input_format=Format.MU_LAW)),
        (audio("output", format={"type": "audio/pcma"}), replace(USUAL, output_format=Format.A_LAW)),
        (audio("input", format={"type": "audio/pcm", "rate": 24000}), USUAL),
        ({"input_audio_format": "g711_alaw"}, replace(USUAL, input_format=Format.A_LAW)),
        ({"output_audio_format": "opus"}, replace(USUAL, output_format=Format.OPUS)),
        ({"turn_detection": None}, replace(USUAL, turn_detection=None)),
        ({"turn_detection": {"type": "none"}}, replace(USUAL, turn_detection=None)),
        (audio("input", turn_detection=False), replace(USUAL, turn_detection=None)),
        (
            audio(
                "input", turn_detection={"type": "server_vad", "threshold": 0.7, "silence_duration_ms": 200}
            ),
            replace(USUAL, turn_detection=TurnDetection(threshold=0.7, silence_ms=200)),
        ),
        (
            audio("input", turn_detection={"type": "semantic_vad", "eagerness": "low"}),
            replace(USUAL, turn_detection=TurnDetection("semantic_vad")),
        ),
        (audio("input", transcription=None), replace(USUAL, transcribes=False)),
        ({"input_audio_transcription": None}, replace(USUAL, transcribes=False)),
        ({"output_modalities": ["text"]}, replace(USUAL, sounds=False)),
        ({"modalities": ["audio", "text"]}, USUAL),
        ({"tools": [TOOL], "tool_choice": "none"}, replace(USUAL, tools=(TOOL,), tool_choice="none")),
        ({"tools": [{"type": "function", "name": "f"}]}, replace(USUAL, tools=(TOOL,))),
        ({"temperature": 0.9}, replace(USUAL, sampling=Sampling(text_temperature=0.9))),
        (
            {"extra": {"seed": 7, "greedy": True, "audio_top_k": 9, "wish": 1}},
            replace(USUAL, sampling=Sampling(seed=7, greedy=True, audio_top_k=9)),
        ),
    ],
)
def test_each_field_is_taken(values: dict[str, Any], config: SessionConfig):
    assert change(values) == config


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"type": "transcription"}, "session.type"),
        ({"instructions": 7}, "session.instructions"),
        ({"instructions": "a" * 2_001}, "session.instructions"),
        ({"voice": "nobody"}, "session.voice"),
        (audio("output", voice="nobody"), "session.audio.output.voice"),
        (audio("input", format={"type": "audio/mp3"}), "session.audio.input.format.type"),
        (audio("output", format={"type": "audio/pcm", "rate": 16000}), "session.audio.output.format.rate"),
        ({"input_audio_format": "mp3"}, "session.input_audio_format"),
        ({"audio": []}, "session.audio"),
        ({"audio": {"input": 1}}, "session.audio.input"),
        ({"turn_detection": {"type": "guess"}}, "session.turn_detection.type"),
        ({"turn_detection": {"threshold": 2}}, "session.turn_detection.threshold"),
        ({"turn_detection": {"silence_duration_ms": "long"}}, "session.turn_detection.silence_duration_ms"),
        ({"modalities": ["smell"]}, "session.modalities"),
        ({"tools": {}}, "session.tools"),
        ({"tools": [{"type": "mcp"}]}, "session.tools[0].type"),
        ({"tools": [{"name": ""}]}, "session.tools[0].name"),
        ({"tools": [{"name": "f", "parameters": {"a": float("inf")}}]}, "session.tools"),
        ({"tools": [{"name": "f", "description": "a" * 33_000}]}, "session.tools"),
        ({"extra": {"seed": "many"}}, "session.extra.seed"),
        ({"temperature": -1}, "session.temperature"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place(values: dict[str, Any], param: str):
    assert fault_of(values).param == param


def test_openais_voices_are_ours_where_there_are_such():
    assert change({"voice": "alloy"}).voice == "NATF0"
    assert change({"voice": "Echo"}).voice == "NATM3"
    assert change({"voice": "marin"}).voice == "NATF2"
    assert change({"voice": "cedar"}).voice == VOICES.default
    assert "NATM3" in str(fault_of({"voice": "nobody"}))


def test_the_dialect_shows_in_the_fields():
    assert dialect_of({"instructions": "a"}) is None
    assert dialect_of({"type": "realtime", "voice": "a"}) is Dialect.GA
    assert dialect_of({"audio": {}}) is Dialect.GA
    assert dialect_of({"modalities": ["audio"]}) is Dialect.BETA


configs = st.builds(
    SessionConfig,
    voice=st.sampled_from(VOICES.names()),
    instructions=st.just("Be kind."),
    turn_detection=st.none()
    | st.builds(TurnDetection, threshold=st.floats(0, 1), silence_ms=st.integers(0, 9_000)),
    input_format=st.sampled_from(Format),
    output_format=st.sampled_from(Format),
    transcribes=st.booleans(),
    sounds=st.booleans(),
    tools=st.sampled_from([(), (TOOL,)]),
    tool_choice=st.sampled_from(["auto", "none"]),
    sampling=st.builds(Sampling, text_temperature=st.floats(0.1, 2), seed=st.none() | st.integers(0, 9)),
)


@given(configs, st.sampled_from(Dialect))
def test_what_a_session_tells_of_itself_sets_up_the_same(config: SessionConfig, dialect: Dialect):
    assert change(config.record(dialect, "sess", "model")) == config


FIELDS = (
    *("type", "audio", "instructions", "voice", "input_audio_format", "output_audio_format", "extra"),
    *("input_audio_transcription", "turn_detection", "modalities", "output_modalities", "tools"),
    *("tool_choice", "temperature"),
)
PARTS = ("input", "output", "format", "voice", "turn_detection", "transcription", "type", "rate", "name")
NUMBERS = ("threshold", "prefix_padding_ms", "silence_duration_ms")
parts = st.dictionaries(st.sampled_from((*PARTS, *NUMBERS)), json_values, max_size=4)


@given(st.dictionaries(st.sampled_from(FIELDS), json_values | parts | st.lists(parts, max_size=2)))
def test_any_values_are_taken_or_are_a_fault(values: dict[str, Any]):
    try:
        config = change(values)
    except RealtimeFault:
        config = USUAL
    assert json.dumps(config.record(Dialect.GA, "sess", "model"), allow_nan=False)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [10**400, -(10**400), float("nan"), float("inf")])
def test_a_number_that_nothing_can_hold_is_a_fault(name: str, value: float):
    fault = fault_of({"turn_detection": {"type": "server_vad", name: value}})
    assert fault.param == f"session.turn_detection.{name}"


def test_null_is_as_if_it_were_absent():
    assert change(
        {"type": None, "tools": [{**TOOL, "type": None}], "extra": {"text_top_k": None}}
    ) == replace(USUAL, tools=(TOOL,))
    heard = {"format": {"type": None, "rate": None}, "turn_detection": {"type": None, "threshold": None}}
    assert change(audio("input", **heard)) == USUAL
    assert change({"instructions": {"text": None}, "voice": None}).instructions == ""
