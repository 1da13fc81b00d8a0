"""A session without I/O: what each event of the client does to its call, and what is told."""

import base64
import json
from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_ui.audio.frames import Samples, silent_frame
from personaplex_ui.calls.conversation_lines import Line, Who
from personaplex_ui.channels.moshi.opus import OpusOutput
from personaplex_ui.channels.moshi.pcm import PcmOutput
from personaplex_ui.channels.realtime.items import Dialect, Json
from personaplex_ui.channels.realtime.session import MOST_WRITTEN_CHARACTERS, RealtimeSession
from personaplex_ui.channels.realtime.session_config import SessionConfig
from personaplex_ui.channels.realtime.sound import Format
from personaplex_ui.engine.speech_model import Sampling
from tests.support.sounds import tone
from tests.unit.channels.realtime.test_client_events import TYPES, field_names, json_values
from tests.unit.channels.realtime.test_session_update import VOICES

NOW = 100.0


class FakeLine:
    """Notes what is wanted of the call."""

    def __init__(self) -> None:
        self.is_open = False
        self.can_call_functions = True
        self.wanted: list[tuple[str, Any]] = []

    def note_update(self, names_role: bool) -> None:
        self.wanted.append(("update", names_role))

    def note_sound(self) -> None:
        self.wanted.append(("sound", None))

    def open(self) -> None:
        self.is_open = True

    def say(self, text: str, cause: str) -> None:
        self.wanted.append(("say", (text, cause)))

    def read(self, text: str, cause: str) -> None:
        self.wanted.append(("read", (text, cause)))

    def fall_silent(self) -> None:
        self.wanted.append(("silent", None))

    def change_sampling(self, sampling: Sampling) -> None:
        self.wanted.append(("sampling", sampling))

    def offer_tools(self, tools: Sequence[Json]) -> None:
        self.wanted.append(("tools", [tool["name"] for tool in tools]))

    def take_result(self, call_id: str, output: str) -> None:
        self.wanted.append(("result", (call_id, output)))

    def of(self, what: str) -> list[Any]:
        return [value for kind, value in self.wanted if kind == what]


class Rig:
    def __init__(self, dialect: Dialect = Dialect.GA) -> None:
        numbers = count(1)
        self.line = FakeLine()
        self.sent: list[str] = []
        config = SessionConfig("NATF2", "Be kind.")
        self.session = RealtimeSession(
            self.sent.append,
            self.line,
            VOICES,
            config,
            "echo",
            dialect,
            lambda kind: f"{kind}_{next(numbers)}",
        )

    def receive(self, kind: str, **values: Any) -> list[dict[str, Any]]:
        """The events that answer one event."""
        before = len(self.sent)
        self.session.receive(json.dumps({"type": kind, "event_id": "cause", **values}), NOW)
        return self.events[before:]

    def fault(self, kind: str, **values: Any) -> dict[str, Any]:
        (event,) = self.receive(kind, **values)
        assert event["type"] == "error"
        assert event["error"]["event_id"] == "cause"
        return event["error"]

    def append(self, sound: bytes) -> list[dict[str, Any]]:
        return self.receive("input_audio_buffer.append", audio=base64.b64encode(sound).decode())

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(message) for message in self.sent]


def pcm(samples: Samples) -> bytes:
    return PcmOutput().append(samples)


def text_item(text: str, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def test_the_session_is_told_first_as_its_dialect_has_it():
    (created,) = Rig().events
    assert (created["type"], created["session"]["type"]) == ("session.created", "realtime")
    assert created["session"]["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    (old,) = Rig(Dialect.BETA).events
    assert old["session"]["input_audio_format"] == "pcm16"


def test_a_session_of_the_beta_is_known_by_its_first_update():
    rig = Rig()
    (updated,) = rig.receive("session.update", session={"modalities": ["audio", "text"], "voice": "alloy"})
    assert updated["session"]["voice"] == "NATF0"
    rig.session.said(tone(0.08), "")
    assert "response.audio.delta" in {event["type"] for event in rig.events}


def test_before_the_call_everything_may_change_and_then_what_a_running_call_can_take():
    rig = Rig()
    rig.receive("session.update", session={"type": "realtime", "instructions": "Sing."})
    assert rig.line.of("update") == [True]
    rig.line.is_open = True
    fault = rig.fault("session.update", session={"type": "realtime", "instructions": "Shout."})
    assert (fault["code"], fault["param"]) == ("cannot_update_instructions", "session.instructions")
    assert rig.fault("session.update", session={"voice": "own"})["code"] == "cannot_update_voice"
    assert rig.fault("session.update", session={"extra": {"seed": 3}})["code"] == "cannot_update_seed"
    same = {"instructions": "Sing.", "extra": {"text_top_k": 9}, "turn_detection": None}
    (updated,) = rig.receive("session.update", session=same)
    assert updated["type"] == "session.updated"
    assert rig.line.of("sampling") == [Sampling(text_top_k=9)]


def test_tools_are_offered_where_a_language_model_can_call_them():
    rig = Rig()
    tools = [{"type": "function", "name": "weather"}]
    rig.receive("session.update", session={"type": "realtime", "tools": tools})
    rig.receive("session.update", session={"type": "realtime", "tool_choice": "none"})
    assert rig.line.of("tools") == [["weather"], []]
    without = Rig()
    without.line.can_call_functions = False
    fault = without.fault("session.update", session={"type": "realtime", "tools": tools, "voice": "own"})
    assert (fault["code"], fault["param"]) == ("tools_unavailable", "session.tools")
    assert "LLM_BASE_URL" in fault["message"]
    assert without.session.config.voice == "NATF2"


def test_sound_is_held_for_the_call_and_what_is_none_is_told():
    rig = Rig()
    assert rig.append(pcm(tone(0.5))) == []
    assert rig.session.input.held_sec == pytest.approx(0.5)
    assert rig.line.of("sound")
    assert rig.fault("input_audio_buffer.append", audio="AAAA")["param"] == "audio"
    (cleared,) = rig.receive("input_audio_buffer.clear")
    assert (cleared["type"], rig.session.input.held_sec) == ("input_audio_buffer.cleared", 0.0)


def test_more_than_fits_is_refused_in_words():
    rig = Rig()
    rig.session.input.begin(NOW)
    for _ in range(4):
        assert rig.append(pcm(tone(15.0))) == []
    (refused,) = rig.append(pcm(tone(15.0)))
    assert refused["error"]["code"] == "input_audio_buffer_full"
    assert rig.session.input.held_sec == pytest.approx(60.0)


def test_a_file_that_does_not_fit_before_the_call_is_refused_at_its_end():
    rig = Rig()
    sound = base64.b64encode(pcm(tone(15.0))).decode()
    message = json.dumps({"type": "input_audio_buffer.append", "event_id": "cause", "audio": sound})
    # Too much is told each time, and is no fault of the kind that ends a connection.
    assert all(rig.session.receive(message, NOW) for _ in range(5))
    (refused,) = [event["error"] for event in rig.events if event["type"] == "error"]
    assert (refused["code"], refused["event_id"]) == ("input_audio_buffer_full", "cause")
    assert rig.session.input.held_sec == pytest.approx(60.0)


@pytest.mark.parametrize(("name", "sec"), [("audio/pcmu", 1.0), ("audio/pcma", 1.0)])
def test_telephones_formats_go_both_ways(name: str, sec: float):
    rig = Rig()
    kind = {"format": {"type": name}}
    rig.receive("session.update", session={"type": "realtime", "audio": {"input": kind, "output": kind}})
    rig.append(bytes(8_000))
    assert rig.session.input.held_sec == pytest.approx(sec, abs=0.01)
    for _ in range(5):
        rig.session.said(tone(0.08), "")
    deltas = [event["delta"] for event in rig.events if event["type"] == "response.output_audio.delta"]
    assert {len(base64.b64decode(delta)) for delta in deltas[1:]} == {640}


def test_unmutes_clients_are_known_by_their_opus():
    rig = Rig()
    opus = OpusOutput()
    for _ in range(5):
        assert rig.append(opus.append(tone(0.08))) == []
    assert rig.session.config.output_format is Format.OPUS
    assert rig.session.input.held_sec > 0.2
    rig.session.said(tone(0.08), " Hi")
    (delta,) = [event for event in rig.events if event["type"] == "response.audio.delta"]
    assert base64.b64decode(delta["delta"]).startswith(b"OggS")


def test_of_opus_no_more_is_decoded_than_may_be_held():
    rig = Rig()
    opus = OpusOutput()
    minute = b"".join(opus.append(silent_frame()) for _ in range(750))
    refused = [event["error"]["code"] for _ in range(4) for event in rig.append(minute)]
    assert set(refused) == {"input_audio_buffer_full"}
    assert rig.session.input.held_sec <= 60.0


def test_what_is_written_waits_until_a_response_is_wanted():
    rig = Rig()
    added, done = rig.receive("conversation.item.create", item=text_item("Hello!"))
    assert (added["type"], done["type"]) == ("conversation.item.added", "conversation.item.done")
    rig.receive("conversation.item.create", item=text_item("Who are you?"))
    assert rig.line.of("read") == []
    (created,) = rig.receive("response.create")
    assert created["type"] == "response.created"
    assert rig.line.of("read") == [("Hello!\nWho are you?", "cause")]
    assert rig.line.is_open


def test_what_was_answered_in_another_session_is_not_read_again():
    rig = Rig()
    rig.receive("conversation.item.create", item=text_item("Hello!"))
    rig.receive("conversation.item.create", item=text_item("Good day.", "assistant"))
    rig.receive("conversation.item.create", item=text_item("Note this.", "system"))
    rig.receive("response.create")
    assert rig.line.of("read") == []


def test_of_too_much_that_is_written_the_end_is_read():
    rig = Rig()
    for number in range(4):
        rig.receive("conversation.item.create", item=text_item(str(number) * 4_000))
    rig.receive("response.create")
    ((text, _),) = rig.line.of("read")
    assert len(text) <= MOST_WRITTEN_CHARACTERS
    assert text[0] == "2"


def test_a_text_can_be_said_word_for_word():
    rig = Rig()
    rig.receive("response.create", response={"extra": {"say": " Good day. "}})
    assert rig.line.of("say") == [("Good day.", "cause")]
    rig.receive("response.cancel")
    fault = rig.fault("response.create", response={"extra": {"say": "a" * 2_001}})
    assert fault["param"] == "response.extra.say"
    assert rig.session.receive('{"type": "response.create"}', NOW)  # the fault has begun none


def test_a_second_response_is_refused_and_a_cancelled_one_falls_silent():
    rig = Rig()
    rig.receive("response.create")
    assert rig.fault("response.create")["code"] == "conversation_already_has_active_response"
    (done,) = rig.receive("response.cancel")
    assert done["response"]["status"] == "cancelled"
    assert rig.line.of("silent")
    assert rig.fault("response.cancel")["code"] == "response_cancel_not_active"


def test_items_are_kept_found_and_forgotten():
    rig = Rig()
    rig.receive("conversation.item.create", item={"id": "mine", **text_item("Hello!")})
    assert (
        rig.fault("conversation.item.create", item={"id": "mine", **text_item("Hello!")})["param"]
        == "item.id"
    )
    (found,) = rig.receive("conversation.item.retrieve", item_id="mine")
    assert found["item"]["content"][0]["text"] == "Hello!"
    rig.receive("conversation.item.delete", item_id="mine")
    for what in ("retrieve", "delete"):
        code = rig.fault(f"conversation.item.{what}", item_id="mine")["code"]
        assert code == f"item_{what}_invalid_item_id"


def test_only_what_the_assistant_said_can_be_truncated_and_no_more_of_it_than_was_told():
    rig = Rig()
    rig.receive("conversation.item.create", item={"id": "mine", **text_item("Hello!")})
    rig.receive("conversation.item.create", item={"id": "written", **text_item("Hello!", "assistant")})
    for _ in range(10):
        rig.session.said(tone(0.08), " word")
    (item_id,) = {event["item_id"] for event in rig.events if event["type"].endswith("output_audio.delta")}

    def fault(item_id: str, index: int, end_ms: int) -> Any:
        values = {"item_id": item_id, "content_index": index, "audio_end_ms": end_ms}
        return rig.fault("conversation.item.truncate", **values)["param"]

    assert [fault(each, 0, 0) for each in ("mine", "written", "none")] == ["item_id"] * 3
    assert fault(item_id, 1, 0) == "content_index"
    assert fault(item_id, 0, 801) == "audio_end_ms"
    values = {"item_id": item_id, "content_index": 0, "audio_end_ms": 800}
    (truncated,) = rig.receive("conversation.item.truncate", **values)
    assert (truncated["type"], truncated["audio_end_ms"]) == ("conversation.item.truncated", 800)


def test_a_functions_result_goes_to_whoever_waits_for_it():
    rig = Rig()
    rig.session.call_function("call_1", "weather", "{}")
    output = {"type": "function_call_output", "call_id": "call_1", "output": "blue"}
    rig.receive("conversation.item.create", item=output)
    assert rig.line.of("result") == [("call_1", "blue")]


def test_a_spoken_item_is_heard_like_any_sound():
    rig = Rig()
    sound = base64.b64encode(pcm(tone(0.5))).decode()
    item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": sound}]}
    added, _ = rig.receive("conversation.item.create", item=item)
    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    assert rig.session.input.held_sec == pytest.approx(0.5)


def test_a_fault_in_an_items_sound_names_its_part():
    content = [{"type": "input_text", "text": "Listen:"}, {"type": "input_audio", "audio": "AAAA"}]
    fault = Rig().fault("conversation.item.create", item={"role": "user", "content": content})
    assert fault["param"] == "item.content[1].audio"


def test_a_commit_makes_an_item_and_begins_the_call():
    rig = Rig()
    rig.receive("session.update", session={"turn_detection": None})
    assert rig.fault("input_audio_buffer.commit")["code"] == "input_audio_buffer_commit_empty"
    rig.append(pcm(tone(0.5)))
    committed, *_ = rig.receive("input_audio_buffer.commit")
    assert committed["type"] == "input_audio_buffer.committed"
    assert rig.line.is_open


def hear_all(rig: Rig) -> None:
    """What waits, in real time."""
    rig.session.input.begin(NOW)
    for step in range(1, 100):
        rig.session.heard(rig.session.input.take(NOW + step * 0.08))


def test_a_file_that_is_committed_at_once_makes_one_item():
    rig = Rig()
    rig.append(pcm(np.concatenate([tone(3.0), np.zeros(24_000, dtype=np.float32)])))
    committed, *_ = rig.receive("input_audio_buffer.commit")
    rig.receive("response.create")
    hear_all(rig)
    kinds = [event["type"] for event in rig.events]
    assert kinds.count("input_audio_buffer.committed") == 1
    assert "input_audio_buffer.speech_started" not in kinds
    rig.session.lines_changed([Line(0, Who.CALLER, 0.3, 2.9, "What?")], NOW)
    assert rig.events[-1]["item_id"] == committed["item_id"]


def test_an_empty_buffer_cannot_be_committed_however_long_the_call():
    rig = Rig()
    hear_all(rig)
    assert rig.fault("input_audio_buffer.commit")["code"] == "input_audio_buffer_commit_empty"
    rig.append(pcm(tone(0.5)))
    rig.receive("input_audio_buffer.clear")
    rig.session.heard(np.zeros(48_000, dtype=np.float32))
    assert rig.fault("input_audio_buffer.commit")["code"] == "input_audio_buffer_commit_empty"


def test_the_words_of_a_turn_that_the_client_commits_are_its_items():
    rig = Rig()
    rig.receive("session.update", session={"turn_detection": None})
    rig.append(pcm(tone(2.0)))
    hear_all(rig)
    rig.session.lines_changed([Line(0, Who.CALLER, 0.3, 1.9, "What?")], NOW)
    committed, *_ = rig.receive("input_audio_buffer.commit")
    rig.session.lines_changed([], NOW + 0.1)
    (words,) = [event for event in rig.events if event["type"].endswith("transcription.delta")]
    assert (words["item_id"], words["delta"]) == (committed["item_id"], "What?")


def test_a_turns_beginning_that_is_repeated_after_a_clear_is_not_heard_twice():
    rig = Rig()
    rig.receive("session.update", session={"turn_detection": None})
    rig.session.input.begin(NOW)
    rig.append(pcm(tone(0.15)))
    rig.append(pcm(tone(0.15, hz=300.0)))
    rig.session.heard(rig.session.input.take(NOW))
    assert rig.session.input.held_sec == 0.0
    rig.receive("input_audio_buffer.clear")
    rig.append(pcm(tone(0.15))[-2_400:] + pcm(tone(0.15, hz=300.0)))
    assert rig.session.input.held_sec == 0.0
    committed, *_ = rig.receive("input_audio_buffer.commit")
    assert committed["type"] == "input_audio_buffer.committed"
    # Anything else after a clear is new, and so is the same sound later.
    rig.receive("input_audio_buffer.clear")
    rig.append(pcm(tone(0.3)))
    rig.append(pcm(tone(0.3)))
    assert rig.session.input.held_sec == pytest.approx(0.6)


def test_both_sides_are_told_as_they_speak():
    rig = Rig()
    rig.session.said(tone(0.08), " Hello")
    rig.session.heard(np.concatenate([tone(0.5), np.zeros(24_000, dtype=np.float32)]))
    for _ in range(9):
        rig.session.said(silent_frame(), "")
    rig.session.lines_changed([Line(0, Who.CALLER, 0.0, 0.5, "What?")], NOW)
    rig.session.tell_place(2, 3)
    rig.session.finish([], NOW)
    kinds = [event["type"] for event in rig.events]
    for kind in ("speech_started", "speech_stopped", "committed"):
        assert f"input_audio_buffer.{kind}" in kinds
    assert "session.waiting" in kinds
    (words,) = [event for event in rig.events if event["type"].endswith("transcription.completed")]
    assert words["transcript"] == "What?"
    (done,) = [event for event in rig.events if event["type"] == "response.done"]
    assert done["response"]["status_details"]["reason"] == "turn_detected"


def test_who_wants_no_transcripts_gets_none():
    rig = Rig()
    rig.receive("session.update", session={"input_audio_transcription": None})
    rig.session.lines_changed([Line(0, Who.CALLER, 0.0, 0.5, "What?")], NOW)
    rig.session.finish([], NOW)
    assert not [event for event in rig.events if "transcription" in event["type"]]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(TYPES), st.dictionaries(field_names, json_values, max_size=4)), max_size=12
    )
)
def test_whatever_comes_the_session_lives(messages: list[tuple[str, dict[str, Any]]]):
    rig = Rig()
    for kind, values in messages:
        rig.session.receive(json.dumps({**values, "type": kind}), NOW)
        rig.session.said(tone(0.08), " word")
    assert rig.receive("input_audio_buffer.clear")[0]["type"] == "input_audio_buffer.cleared"
    assert len({event["event_id"] for event in rig.events}) == len(rig.events)
