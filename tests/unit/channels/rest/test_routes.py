"""The API with deterministic parts: answers, refusals in sentences, limits, and clients who go."""

import asyncio
import base64
import io
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.calls.allowance import Allowance, Visitor
from personaplex_ui.calls.limits import AddressLimits
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.channels.rest import events
from personaplex_ui.speech.parts import Turn
from personaplex_ui.speech.weights.errors import WeightsMissing
from tests.support.rest_rig import ROLE, Rig, Streaming, form_of, running_rig, wav
from tests.support.running import until
from tests.support.speech_parts import WORD_SEC, pause, says

QUESTION = says(400)
FILE = {"audio": ("a.wav", wav(QUESTION))}
TWO = ("We open at eight.", "Helmets are free.")
HISTORY = [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hello, I am Alex."}]
TURNS = (Turn("caller", "Hello!"), Turn("assistant", "Hello, I am Alex."))


@pytest.fixture
async def rig(call_manager: CallManager) -> AsyncIterator[Rig]:
    async with running_rig(call_manager) as rig:
        rig.parts.scripted.answers["When do you open?"] = TWO
        yield rig


def told_in(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream, without the comments."""
    blocks = [block.split("\n") for block in text.split("\n\n") if block.startswith("event: ")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


async def test_transcribe(rig: Rig):
    answer = await rig.http.post("/api/v1/transcribe", files=FILE, data={"language": "en-GB"})
    told = answer.json()
    assert (answer.status_code, told["text"], told["language"]) == (200, "When do you open?", "en")
    assert told["duration"] == pytest.approx(1.2)
    assert told["transcribe_time"] >= 0.0
    assert rig.counted("transcribe", "answered") == 1.0


async def test_a_recording_without_words_is_an_empty_text(rig: Rig):
    answer = await rig.http.post("/api/v1/transcribe", files={"audio": wav(pause(0.5))})
    assert (answer.status_code, answer.json()["text"]) == (200, "")


async def test_chat(rig: Rig):
    asked = {"message": "When do you open?", "conversation_history": HISTORY, "text_prompt": "You are Alex."}
    answer = await rig.http.post("/api/v1/chat", json=asked)
    assert (answer.status_code, answer.json()["response"]) == (200, " ".join(TWO))
    assert rig.parts.scripted.asked == [(*TURNS, Turn("caller", "When do you open?"))]
    assert rig.parts.made == []  # nobody has to hear or speak


async def test_chat_ends_after_max_tokens_and_asks_for_no_more(rig: Rig):
    rig.parts.scripted.answers["When do you open?"] = [*TWO, *["And on and on."] * 100]
    answer = await rig.http.post("/api/v1/chat", json={"message": "When do you open?", "max_tokens": 6})
    assert answer.json()["response"] == TWO[0]
    await until(lambda: rig.parts.scripted.closed == 1)
    assert len(rig.parts.scripted.fetched) == 2


async def test_a_whole_conversation(rig: Rig):
    fields = {
        "voice": "NATM1.pt",
        "text_prompt": "You are Alex.",
        "conversation_history": json.dumps(HISTORY),
    }
    answer = await rig.http.post("/api/v1/conversation", files=FILE, data=fields)
    told = answer.json()
    assert answer.status_code == 200, told
    assert (told["user_text"], told["response_text"]) == ("When do you open?", " ".join(TWO))
    assert told["video_url"] is None
    assert {"transcribe_time", "llm_time", "tts_time", "video_time", "total"} == set(told["times"])
    assert rig.parts.humming.said == [(TWO[0], "NATM1"), (TWO[1], "NATM1")]
    assert rig.parts.scripted.asked == [(*TURNS, Turn("caller", "When do you open?"))]
    assert rig.parts.listed.contexts == ["You are Alex."]
    sound = await rig.http.get(told["audio_url"])
    samples, rate_hz = soundfile.read(io.BytesIO(sound.content))
    assert (sound.headers["content-type"], rate_hz) == ("audio/wav", SAMPLE_RATE_HZ)
    assert len(samples) == pytest.approx(7 * WORD_SEC * SAMPLE_RATE_HZ)
    part = await rig.http.get(told["audio_url"], headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    assert (await rig.http.get(f"/api/v1/jobs/{told['job_id']}/video.mp4")).status_code == 404


async def test_a_conversation_with_a_video(rig: Rig):
    answer = await rig.http.post("/api/v1/conversation", files=FILE, data={"video": "true"})
    told = answer.json()
    video = await rig.http.get(told["video_url"])
    assert (video.status_code, video.headers["content-type"], video.content[4:8]) == (
        200,
        "video/mp4",
        b"ftyp",
    )
    assert told["times"]["video_real_time_factor"] > 0.0
    assert rig.parts.listed.contexts == [ROLE]


async def test_a_stream_tells_each_sentence_when_it_is_ready(rig: Rig):
    streaming = Streaming(rig.app, *form_of(QUESTION, voice="NATF2"))
    rig.parts.humming.going.clear()
    await until(lambda: "user_text" in streaming.text)
    assert "sentence" not in streaming.text
    rig.parts.humming.going.set()
    await streaming.task
    told = told_in(streaming.text)
    assert [name for name, _ in told] == ["user_text", "sentence", "sentence", "done"]
    assert [data["text"] for _, data in told[:3]] == ["When do you open?", *TWO]
    samples, _ = soundfile.read(io.BytesIO(base64.b64decode(told[1][1]["audio"])))
    assert (
        len(samples) / SAMPLE_RATE_HZ == pytest.approx(told[1][1]["duration"]) == pytest.approx(4 * WORD_SEC)
    )
    done = told[3][1]
    assert done["response_text"] == " ".join(TWO)
    assert (await rig.http.get(done["audio_url"])).status_code == 200
    assert rig.counted("stream", "answered") == 1.0


async def test_a_stream_is_kept_alive(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events.EventStream.__init__, "__defaults__", (0.01,))
    rig.parts.humming.going.clear()
    streaming = Streaming(rig.app, *form_of(QUESTION))
    await until(lambda: streaming.text.count(": keep-alive\n\n") >= 3)
    rig.parts.humming.going.set()
    await streaming.task
    assert told_in(streaming.text)[-1][0] == "done"


async def test_when_the_client_of_a_stream_goes_the_work_ends(rig: Rig):
    rig.address = "192.0.2.1"
    rig.parts.scripted.answers["When do you open?"] = ["On and on."] * 1_000
    rig.parts.humming.going.clear()
    streaming = Streaming(rig.app, *form_of(QUESTION))
    await until(lambda: len(rig.parts.scripted.fetched) >= 2)
    streaming.leave()
    await streaming.task
    assert rig.places.working == 0
    assert rig.counted("stream", "cancelled") == 1.0
    rig.parts.humming.going.set()
    await until(lambda: rig.parts.scripted.closed == 1)
    assert len(rig.parts.humming.said) <= 2  # those that were begun


async def test_when_the_client_of_a_conversation_goes_the_work_ends(rig: Rig):
    rig.parts.humming.going.clear()
    streaming = Streaming(rig.app, *form_of(QUESTION), path="/api/v1/conversation")
    await until(lambda: bool(rig.parts.scripted.asked))
    streaming.leave()
    await streaming.task
    assert streaming.status == 499
    assert rig.places.working == 0
    assert rig.counted("conversation", "cancelled") == 1.0


async def test_the_end_of_the_app_ends_a_stream_in_a_sentence(rig: Rig):
    rig.parts.humming.going.clear()
    streaming = Streaming(rig.app, *form_of(QUESTION))
    await until(lambda: "user_text" in streaming.text)
    await rig.call_manager.close()
    await streaming.task
    assert told_in(streaming.text)[-1][0] == "error"
    assert "shutting down" in streaming.text
    refused = await rig.http.post("/api/v1/chat", json={"message": "Hello"})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    ("part", "sentence"),
    [("listed", "cannot be made out"), ("scripted", "no answer"), ("humming", "cannot be said")],
)
async def test_a_part_that_fails_is_told_without_its_reason(rig: Rig, part: str, sentence: str):
    setattr(rig.parts, part, replace(getattr(rig.parts, part), failing="The key in LLM_API_KEY is wrong."))
    answer = await rig.http.post("/api/v1/conversation", files=FILE)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert sentence in answer.json()["detail"]
    assert "KEY" not in answer.text
    streaming = Streaming(rig.app, *form_of(QUESTION))
    await streaming.task
    name, data = told_in(streaming.text)[-1]
    assert (name, data["detail"]) == ("error", answer.json()["detail"])
    assert rig.counted("stream", "failed") == rig.counted("conversation", "failed") == 1.0
    assert rig.places.working == 0


async def test_weights_that_are_missing_are_told_and_tried_again(rig: Rig):
    rig.parts.failing = WeightsMissing("The weights cannot be had.")
    for _ in range(2):
        answer = await rig.http.post("/api/v1/transcribe", files=FILE)
        assert (answer.status_code, answer.json()["detail"]) == (503, "The weights cannot be had.")
    rig.parts.failing = None
    assert (await rig.http.post("/api/v1/transcribe", files=FILE)).status_code == 200
    assert (await rig.http.post("/api/v1/transcribe", files=FILE)).status_code == 200
    assert rig.parts.made == ["recogniser"] * 3


async def test_who_comes_while_weights_are_fetched_is_told_how_far_it_is(rig: Rig):
    rig.parts.ready.clear()
    vars(rig.loaded)["_ready_within_sec"] = 0.2
    answer = await rig.http.post("/api/v1/transcribe", files=FILE)
    assert answer.status_code == 503
    assert "Fetching the weights. (25 %)" in answer.json()["detail"]
    rig.parts.ready.set()
    vars(rig.loaded)["_ready_within_sec"] = 10.0
    assert (await rig.http.post("/api/v1/transcribe", files=FILE)).status_code == 200
    assert rig.parts.made == ["recogniser"]


@pytest.mark.parametrize("path", ["transcribe", "conversation", "conversation/stream"])
@pytest.mark.parametrize(
    ("status", "field", "files"),
    [
        (422, "audio", {"audio": b"no sound"}),
        (422, "audio", {"audio": b""}),
        (422, "audio", {"other": wav(QUESTION)}),
        (422, "audio", {"audio": wav(QUESTION)[:20]}),
        (413, None, {"audio": b"x" * 2_100_000}),
    ],
    ids=["no sound", "empty", "another field", "cut", "too large"],
)
async def test_unusable_sounds_get_a_sentence(
    rig: Rig, path: str, status: int, field: str | None, files: dict[str, bytes]
):
    answer = await rig.http.post(f"/api/v1/{path}", files=files)
    assert (answer.status_code, answer.json().get("field")) == (status, field)
    assert answer.json()["detail"].endswith(".")
    assert rig.parts.listed.heard == []


async def test_a_sound_that_is_too_long_is_refused(rig: Rig, tmp_path: Path):
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(122 * 8_000, dtype=np.float32), 8_000)
    answer = await rig.http.post("/api/v1/transcribe", files={"audio": path.read_bytes()})
    assert (answer.status_code, answer.json()["field"]) == (422, "audio")
    assert "2:00" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("voice", "Nobody"),
        ("voice", "../../etc/passwd"),
        ("text_prompt", "x" * 2_001),
        ("conversation_history", "[1]"),
        ("max_tokens", "many"),
        ("video", "perhaps"),
        ("language", "Klingon!"),
    ],
)
async def test_unusable_values_get_a_sentence(rig: Rig, field: str, value: str):
    for path in ("conversation", "conversation/stream"):
        answer = await rig.http.post(f"/api/v1/{path}", files=FILE, data={field: value})
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert rig.counted("stream", "refused") == 1.0


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (415, b"{}", "text/plain"),
        (400, b"{", "application/json"),
        (422, b"[]", "application/json"),
        (422, b'{"message": 1}', "application/json"),
        (413, b'{"message": "' + b"x" * 140_000 + b'"}', "application/json"),
    ],
)
async def test_unusable_chats_get_a_sentence(rig: Rig, status: int, content: bytes, kind: str):
    answer = await rig.http.post("/api/v1/chat", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json()["detail"].endswith(".")
    assert rig.counted("chat", "refused") == 1.0


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x; charset=idna", ""])
async def test_a_form_of_another_kind_is_refused(rig: Rig, kind: str):
    answer = await rig.http.post("/api/v1/transcribe", content=b"x", headers={"Content-Type": kind})
    assert answer.status_code == 415


async def test_those_who_find_no_place_are_told_when_to_come_again(rig: Rig):
    rig.parts.humming.going.clear()
    waiting = [Streaming(rig.app, *form_of(QUESTION)) for _ in range(3)]
    await until(lambda: rig.places.waiting == 1)
    refused = await rig.http.post("/api/v1/conversation", files=FILE)
    assert (refused.status_code, refused.json()["error"]) == (503, "busy")
    assert refused.headers["retry-after"] == "5"
    assert rig.registry.get_sample_value("personaplex_api_requests_working") == 2.0
    assert rig.registry.get_sample_value("personaplex_api_requests_waiting") == 1.0
    rig.parts.humming.going.set()
    await asyncio.gather(*(each.task for each in waiting))
    assert [told_in(each.text)[-1][0] for each in waiting] == ["done"] * 3
    # Whose sound is read last is the one that waits.
    assert [told_in(each.text)[0] for each in waiting].count(("waiting", {"place": 1})) == 1


async def test_a_network_has_as_many_requests_as_calls(rig: Rig, call_manager: CallManager):
    call_manager.limits = AddressLimits(1, 2, time.monotonic)
    rig.address = "192.0.2.1"
    rig.parts.humming.going.clear()
    streaming = Streaming(rig.app, *form_of(QUESTION))
    await until(lambda: "user_text" in streaming.text)
    second = await rig.http.post("/api/v1/chat", json={"message": "Hello"})
    assert (second.status_code, second.json()["error"]) == (429, "too_many_calls")
    rig.parts.humming.going.set()
    await streaming.task
    codes = [(await rig.http.post("/api/v1/chat", json={"message": "Hello"})).status_code for _ in range(2)]
    assert codes == [200, 429]


async def test_a_visitor_pays_with_minutes(rig: Rig, call_manager: CallManager):
    rig.visitor = Visitor("Ann")
    allowance = call_manager.allowance = Allowance(60.0, time.time)
    assert (await rig.http.post("/api/v1/conversation", files=FILE)).status_code == 200
    assert allowance.left_sec(rig.visitor) == pytest.approx(60.0 - 1.2 - 7 * WORD_SEC)
    refused = await rig.http.post("/api/v1/conversation", files={"audio": _flac(58.0)})
    assert (refused.status_code, refused.json()["error"]) == (429, "minutes_used_up")
    allowance.spend(rig.visitor, 50.0)
    assert (await rig.http.post("/api/v1/chat", json={"message": "Hello"})).status_code == 429


def _flac(sec: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(round(sec * 8_000), dtype=np.float32), 8_000, format="FLAC")
    return file.getvalue()
