"""Clients of OpenAI's Realtime API hold whole calls: the ``openai`` package's and Pipecat's, on all engines.

All calls are held at once, so they are held once for all tests.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from tests.e2e.clients.person import TONE_AMPLITUDE, TONE_SEC
from tests.e2e.clients.programs import HERE, THEIR_PYTHON, Program, require_environment
from tests.support.app_process import ECHO, TINY, AppProcess
from tests.support.clients.realtime import realtime
from tests.support.password import PASSWORD
from tests.support.speech_server import Message, SpeechServer, calls, says, speech_server
from tests.support.whistle import cleanness_db, whistles_in

pytestmark = [pytest.mark.timeout(240), pytest.mark.alone]

KEY = "a-key-that-nobody-else-has"
VOICE = "SAMEPITCH"
"""The echo speaks higher or lower with the voices it knows, and with others as it was spoken to."""

LEVEL_DB = 20 * float(np.log10(TONE_AMPLITUDE / np.sqrt(2)))
SCENES = {"openai-echo": "echo", "openai-cascade": "cascade", "openai-tiny": "tiny"}
OURS = {
    f"session.{when}.session.{name}" for when in ("created", "updated") for name in ("id", "object", "extra")
}
"""Fields that no class of the package has: the first two OpenAI's server sends, too."""

Event = dict[str, Any]


def reply(body: dict[str, Any]) -> Message:
    """What the stand-in for a language model answers."""
    last = body["messages"][-1]
    if last["role"] == "tool":
        return says("The sky is blue.") if "blue" in last["content"] else says("I do not know.")
    if "weather" in str(last["content"]) and body.get("tools"):
        return calls("weather", {"town": "Rome"})
    return says("We sell bread.")


@pytest.fixture(scope="module")
def server() -> Iterator[SpeechServer]:
    with speech_server() as server:
        server.reply = reply
        yield server


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory, server: SpeechServer) -> Iterator[dict[str, AppProcess]]:
    require_environment()
    voices = tmp_path_factory.mktemp("voices")
    (voices / f"{VOICE}.wav").touch()  # the echo reads no voice, the name is enough
    one_voice = {"VOICES_DIR": str(voices), "DEFAULT_VOICE_PROMPT": VOICE}
    keys = {"APP_PASSWORD": PASSWORD, "API_KEY": KEY}
    llm = {name: value for name, value in server.variables.items() if name.startswith("LLM_")}
    variables = {
        "echo": {**ECHO, **one_voice, **keys, **llm, "MAX_CALLS": "2"},
        "cascade": {"ENGINE": "cascade", "CAPTIONS": "auto", "MAX_CALLS": "2", **server.variables},
        "tiny": {**TINY, "MAX_CALLS": "2"},
    }
    started = {name: AppProcess(tmp_path_factory.mktemp(name), **given) for name, given in variables.items()}
    try:
        for app in started.values():
            app.wait_until_ready()
        yield started
    finally:
        for app in started.values():
            app.process.terminate()  # side by side
        for app in started.values():
            app.close()
    assert [app.exceptions() for app in started.values()] == [[], [], []]


@pytest.fixture(scope="module")
def held(
    apps: dict[str, AppProcess], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Program]]:
    """Each call by its name, ended."""
    folder = tmp_path_factory.mktemp("realtime")
    openai, pipecat = (str(HERE / name) for name in ("openai_client.py", "pipecat_realtime.py"))
    python, programs = str(THEIR_PYTHON), dict[str, Program]()
    try:
        for name, scene in SCENES.items():
            command = [python, openai, apps[scene].url, scene, str(folder / name)]
            programs[name] = Program(folder / name, command, KEY=KEY)
        for name, app, more in (
            ("pipecat-echo", "echo", [VOICE]),
            ("pipecat-cascade", "cascade", ["alloy", "function"]),
            ("pipecat-tiny", "tiny", ["NATM1"]),
        ):
            command = [python, pipecat, apps[app].url, str(folder / name), *more]
            programs[name] = Program(folder / name, command, KEY=KEY)
        for program in programs.values():
            program.wait()
        yield programs
    finally:
        for program in programs.values():
            program.end()


def events_of(program: Program) -> list[Event]:
    path = program.folder / "events.json"
    assert program.process.returncode == 0, (
        f"{program.log}\n{path.read_text()[-3_000:] if path.exists() else ''}"
    )
    return json.loads(path.read_text())


def of(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


def told_by(program: Program) -> tuple[list[tuple[str, str]], list[Event]]:
    assert program.process.returncode == 0, program.log
    values = json.loads((program.folder / "told.json").read_text())
    return [(kind, text) for kind, text in values["told"]], values["asked"]


@pytest.mark.parametrize("name", SCENES)
def test_each_event_is_of_its_documented_class(held: dict[str, Program], name: str) -> None:
    events = events_of(held[name])
    assert {each for event in events for each in event["complaints"]} <= OURS
    assert events[0]["type"] == "session.created"
    assert len({event["event_id"] for event in events if "event_id" in event}) == len(events) - len(
        of(events, "models")
    )


@pytest.mark.parametrize("name", SCENES)
def test_a_response_has_its_events_in_the_documented_order(held: dict[str, Program], name: str) -> None:
    events = events_of(held[name])
    done = [event["response"] for event in of(events, "response.done")]
    assert done
    for response in done:
        mine = [
            event["type"].removeprefix("response.")
            for event in events
            if response["id"] in (event.get("response_id"), event.get("response", {}).get("id"))
        ]
        assert (mine[0], mine[-1]) == ("created", "done")
        if response["output"] and response["output"][0]["type"] == "message":
            assert mine[1:3] == ["output_item.added", "content_part.added"]
            assert mine[-5:-1] == [
                "output_audio.done",
                "output_audio_transcript.done",
                "content_part.done",
                "output_item.done",
            ]
            assert set(mine[3:-5]) <= {"output_audio.delta", "output_audio_transcript.delta"}


def test_sound_goes_both_ways(held: dict[str, Program]) -> None:
    for name in ("openai-echo", "pipecat-echo"):
        program = held[name]
        assert program.process.returncode == 0, program.log
        # A greeting before it is made of other tones, and so are the words after it.
        tones = [found for found in whistles_in(*program.heard()) if found.level_db > LEVEL_DB - 6]
        assert len(tones) == 1, name
        assert tones[0].level_db == pytest.approx(LEVEL_DB, abs=1.5)
        assert tones[0].sec > TONE_SEC - 0.25
        assert cleanness_db(tones, but_for=0.6) > 15.0


def test_the_callers_turn_is_told_from_its_begin_to_its_item(held: dict[str, Program]) -> None:
    events = events_of(held["openai-echo"])
    (started,), (stopped,), (committed,) = (
        of(events, f"input_audio_buffer.{what}")[:1]
        for what in ("speech_started", "speech_stopped", "committed")
    )
    assert started["item_id"] == stopped["item_id"] == committed["item_id"]
    # With 300 ms before it, and the 500 ms of silence that show its end.
    spoke_sec = (stopped["audio_end_ms"] - started["audio_start_ms"]) / 1000
    assert spoke_sec == pytest.approx(TONE_SEC + 0.3 + 0.5, abs=0.4)


def test_what_was_cancelled_ends_at_once_and_the_rest_is_told_with_its_cause(
    held: dict[str, Program],
) -> None:
    events = events_of(held["openai-echo"])
    cancelled = [
        event["response"]
        for event in of(events, "response.done")
        if event["response"]["status_details"].get("reason") == "client_cancelled"
    ]
    assert len(cancelled) == 1
    (item,) = cancelled[0]["output"]
    assert item["status"] == "incomplete"
    assert re.match(r"one two( \w+){0,3}$", item["content"][0]["transcript"])
    assert "seven" not in json.dumps([event for event in events if event["type"] != "response.create"])

    faults = [event["error"] for event in of(events, "error")]
    assert [(fault["event_id"], fault["code"], fault["param"]) for fault in faults] == [
        ("wish", "invalid_value", "type"),
        ("late", "cannot_update_instructions", "session.instructions"),
        ("voice", "invalid_value", "session.audio.output.voice"),
        ("none", "response_cancel_not_active", "response_id"),
    ]
    assert VOICE in faults[2]["message"]
    assert of(events, "session.updated")[-1]["session"]["extra"]["text_temperature"] == 0.5
    assert of(events, "models")[0]["ids"] == ["echo"]


def test_both_sides_words_and_a_function_of_the_client(held: dict[str, Program]) -> None:
    events = events_of(held["openai-cascade"])
    (committed,) = of(events, "input_audio_buffer.committed")
    (heard,) = of(events, "conversation.item.input_audio_transcription.completed")
    assert (heard["item_id"], heard["transcript"]) == (committed["item_id"], "What do you sell?")
    said = [event["transcript"] for event in of(events, "response.output_audio_transcript.done")]
    # The greeting may have been cut before its first word.
    assert [text for text in said if text] == ["We sell bread.", "The sky is blue."]
    (wanted,) = of(events, "response.function_call_arguments.done")
    assert (wanted["name"], json.loads(wanted["arguments"])) == ("weather", {"town": "Rome"})
    (response,) = [
        event["response"]
        for event in of(events, "response.done")
        if [item["type"] for item in event["response"]["output"]] == ["function_call"]
    ]
    assert (response["status"], response["output"][0]["call_id"]) == ("completed", wanted["call_id"])


def test_a_model_that_only_hears_says_the_answer_to_what_was_written(held: dict[str, Program]) -> None:
    events = events_of(held["openai-echo"])
    said = [event["transcript"] for event in of(events, "response.output_audio_transcript.done")]
    assert "The sky is blue." in said
    (wanted,) = of(events, "response.function_call_arguments.done")
    assert json.loads(wanted["arguments"]) == {"town": "Rome"}


def test_the_assistants_sound_comes_in_real_time(held: dict[str, Program]) -> None:
    program = held["openai-cascade"]
    sound, rate_hz = program.heard()
    events = events_of(program)
    words = sum(
        len(event["transcript"].split()) for event in of(events, "response.output_audio_transcript.done")
    )
    loud_sec = np.sum(np.sqrt(np.mean(sound[: len(sound) // 240 * 240].reshape(-1, 240) ** 2, axis=1)) > 0.02)
    assert loud_sec * 240 / rate_hz == pytest.approx(0.2 * words, abs=0.5)


def test_a_model_that_never_stops_talking_can_be_cancelled_and_asked_again(held: dict[str, Program]) -> None:
    events = events_of(held["openai-tiny"])
    first, *_ = of(events, "response.done")
    assert first["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert re.search(r"\w\w", first["response"]["output"][0]["content"][0]["transcript"])
    sound, _ = held["openai-tiny"].heard()
    assert np.sqrt(np.mean(sound**2)) > 0.005
    assert of(events, "session.updated")[0]["session"]["audio"]["output"]["voice"] == "NATM1"


def test_a_pipecat_pipeline_hears_and_is_heard(held: dict[str, Program]) -> None:
    told, _ = told_by(held["pipecat-echo"])
    kinds = [kind for kind, _ in told]
    assert "ErrorFrame" not in kinds
    text = "".join(text for kind, text in told if kind == "TTSTextFrame")
    assert "Hello!" in text
    assert "dBFS" in text
    assert kinds.index("TTSStartedFrame") < kinds.index("UserStartedSpeakingFrame")
    assert kinds.index("UserStartedSpeakingFrame") < kinds.index("UserStoppedSpeakingFrame")


def test_a_pipecat_pipeline_talks_to_personaplex(held: dict[str, Program]) -> None:
    told, _ = told_by(held["pipecat-tiny"])
    assert "ErrorFrame" not in [kind for kind, _ in told]
    assert re.search(r"\w\w", "".join(text for kind, text in told if kind == "TTSTextFrame"))
    sound, rate_hz = held["pipecat-tiny"].heard()
    assert len(sound) / rate_hz > 1.0
    assert np.sqrt(np.mean(sound**2)) > 0.005


def test_a_pipecat_pipelines_function_is_called(held: dict[str, Program]) -> None:
    told, asked = told_by(held["pipecat-cascade"])
    assert asked == [{"town": "Rome"}]
    assert "The sky is blue." in "".join(text for kind, text in told if kind == "TTSTextFrame")
    assert "ErrorFrame" not in [kind for kind, _ in told]


async def test_without_the_key_nobody_comes_in(apps: dict[str, AppProcess]) -> None:
    async with httpx.AsyncClient(base_url=apps["echo"].url) as http:
        assert (await http.get("/v1/models")).status_code == 401
        headers = {"Authorization": f"Bearer {KEY}"}
        assert (await http.get("/v1/models", headers=headers)).json()["data"][0]["id"] == "echo"
        assert (await http.get("/v1/realtime", headers=headers)).status_code == 426
    # As a browser shows it, which can send no header.
    url, shown = apps["echo"].url, "openai-insecure-api-key"
    async with realtime(url, protocols=("realtime", f"{shown}.{KEY}")) as client:
        await client.until_event("session.created")
        assert client.websocket.subprotocol == "realtime"
    with pytest.raises(InvalidStatus) as refused:
        async with realtime(url, protocols=("realtime", f"{shown}.wrong")):
            pass
    assert refused.value.response.status_code == 401
    await asyncio.to_thread(apps["echo"].wait_for_slots, 2)
    assert KEY not in apps["echo"].log
