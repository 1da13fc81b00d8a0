"""The plain HTTP of the app, with a fake model and calls that are put into the store directly.

What ``Range`` does: field case A10.
"""

import io
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from personaplex_ui.audio.files.clip_file import wav_header
from personaplex_ui.calls.call_table import CallTable
from personaplex_ui.calls.captions import CaptionsReport, OwnWords
from personaplex_ui.calls.conversation_lines import Line, Who
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.calls.store import CallStore
from personaplex_ui.calls.transcript import Utterance
from personaplex_ui.channels.clips.preview import Previews
from personaplex_ui.channels.clips.routes import build_preview_router
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.reports import CapacityReport, RuntimeReport
from personaplex_ui.engine.speech_model import Persona, SpeechModel
from personaplex_ui.errors import EngineUnavailable, StorageFailed
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.routes import build_router
from personaplex_ui.web.security.session_cookie import COOKIE
from tests.support.fake_model import FakeModel
from tests.support.heard_sounds import frames, white_noise
from tests.support.running import running_call_manager, running_engine, until

VOICES = [Voice("NATF2", "Natural female", "NATF2"), Voice("NATM1", "Natural male", "NATM1")]
OWNER = {"Cookie": f"{COOKIE}={'o' * 43}"}
STRANGERS = ("", f"{COOKIE}={'s' * 43}", f"{COOKIE}=", f"{COOKIE}={'o' * 42}", f"other={'o' * 43}")
UTTERANCES = (Utterance(0.5, 2.25, "Hello! Grüße."), Utterance(4.0, 5.0, "Goodbye."))
FILES = ("recording.wav", "report.json", *(f"transcript.{kind}" for kind in ("json", "txt", "srt", "vtt")))
LINES = (
    Line(0, Who.ASSISTANT, 0.5, 2.25, "Hello! Grüße."),
    Line(1, Who.CALLER, 2.0, 3.0, levels=(0, 9)),
    Line(2, Who.TYPED, 3.5, 3.5, "Say goodbye."),
    Line(3, Who.ASSISTANT, 4.0, 5.0, "Goodbye."),
)
UNKNOWN_IDS = ("u" * 22, "short", "x" * 5_000, "%2e%2e", "..%2f..%2fetc%2fpasswd", "..%5c..%5cboot.ini")
HOSTILE_IDS = ("%00" * 22, "%0a" * 22, "%F0%9F%98%80" * 22, "*" * 22)


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def call_manager(model: FakeModel, tmp_path: Path) -> AsyncIterator[CallManager]:
    async with (
        running_engine(model, max_calls=1, max_waiting=1) as engine,
        running_call_manager(engine, tmp_path / "recordings") as call_manager,
    ):
        yield call_manager


def client_of(call_manager: CallManager) -> AsyncClient:
    app = FastAPI()
    voices = VoiceLibrary(VOICES, default="NATF2")
    app.include_router(build_router(call_manager, voices))
    app.include_router(build_preview_router(Previews(call_manager, voices, "Be kind."), voices))
    return AsyncClient(transport=ASGITransport(app), base_url="http://localhost")


@pytest.fixture
async def client(call_manager: CallManager) -> AsyncIterator[AsyncClient]:
    async with client_of(call_manager) as client:
        yield client


@pytest.fixture
def call(call_manager: CallManager) -> str:
    """The id of an ended call of the owner; its recording is 1 s of two tracks."""
    call_id = CallStore.new_call_id()
    call = EndedCall(
        call_id,
        time.time(),
        1.0,
        "NATF2",
        "You hung up.",
        ("The recording stopped at 0:01.",),
        UTTERANCES,
        (-100.0,) * 25 + (-20.0,) * 13,
        (-100.0,) * 6 + (-20.0,) * 16,
        recorded=True,
        text_prompt="Be kind.",
        lines=LINES,
    )
    call_manager.store.add("o" * 43, call)
    sound = np.arange(48_000, dtype="<i2").tobytes()
    call_manager.store.recording_path(call_id).write_bytes(wav_header(2, len(sound)) + sound)
    return call_id


# Health and voices -----------------------------------------------------------------------------------


async def test_a_ready_engine_is_healthy(client: AsyncClient, call_manager: CallManager, model: FakeModel):
    of_model = {"status": "healthy", "model": "fake", "device": "cpu", "gpu_memory_allocated_mb": 0.0}
    response = await client.get("/health")
    assert response.status_code == 200
    assert response.json() == of_model | {"lines": 1, "lines_free": 1, "waiting": 0}
    calls = [call_manager.open(CallSettings(Persona("NATF2", ""))) for _ in range(2)]
    await calls[0].live.wait()
    await until(lambda: call_manager.engine.slots.waiting == 1)
    model.clips_only = "Calls cannot be held here."
    busy = {"lines": 1, "lines_free": 0, "waiting": 1, "message": model.clips_only}
    assert (await client.get("/health")).json() == of_model | busy


async def test_health_counts_the_calls_whose_sound_was_not_right(
    client: AsyncClient, call_manager: CallManager
):
    sound = call_manager.sound_watch.watch("a" * 32)
    for frame in frames(white_noise(4.0)):
        sound.hear(frame)
    call_manager.sound_watch.look()
    assert (await client.get("/health")).json()["unhealthy_calls"] == {"noise": 1}


class Captioned(OwnWords):
    def __init__(self, report: CaptionsReport) -> None:
        self._report = report

    def report(self, model: SpeechModel) -> CaptionsReport:
        return self._report


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (CaptionsReport("Whisper tiny.en"), {"found_by": "Whisper tiny.en"}),
        (CaptionsReport("", "There are no weights."), {"message": "There are no weights."}),
        (CaptionsReport(), None),
    ],
)
async def test_health_says_who_finds_the_callers_words(
    client: AsyncClient, call_manager: CallManager, report: CaptionsReport, told: dict[str, str] | None
):
    call_manager.captions = Captioned(report)
    body = (await client.get("/health")).json()
    assert body.get("captions") == told


class TellingModel(FakeModel):
    capacity_report: CapacityReport | None = None
    runtime_report: RuntimeReport | None = None


async def test_health_has_what_the_model_tells_about_itself(tmp_path: Path):
    model = TellingModel()
    async with running_engine(model, max_calls=1, max_waiting=1) as engine:
        _, body = await health_of(engine, tmp_path)
        assert not body.keys() & {"capacity", "runtime"}
    model.capacity_report = CapacityReport(6, 15, {1: 38.1, 8: 70.0}, "6 lines of 15.")
    model.runtime_report = RuntimeReport("captured as CUDA graphs", "Triton", "int8", reasons=("An L4.",))
    async with running_engine(model, max_calls=1, max_waiting=1) as engine:
        status, body = await health_of(engine, tmp_path)
    assert (status, body["lines"]) == (200, 1)
    ticks = {"1": 38.1, "8": 70.0}
    assert body["capacity"] == {
        "lines": 6,
        "by_memory": 15,
        "measured_ms": ticks,
        "reason": "6 lines of 15.",
    }
    assert body["runtime"] == {
        "graphs": "captured as CUDA graphs",
        "kernels": "Triton",
        "weights": "int8",
        "reasons": ["An L4."],
        "warnings": [],
    }


async def health_of(engine: Engine, folder: Path) -> tuple[int, dict[str, object]]:
    call_manager = CallManager(engine, CallStore(folder, 3600.0, time.time), 600.0)
    async with client_of(call_manager) as client:
        response = await client.get("/health")
    await call_manager.close()
    return response.status_code, response.json()


async def test_without_a_model_it_is_not_and_says_why(tmp_path: Path):
    loading = Engine(lambda report: FakeModel(), 1)
    loading.health.message, loading.health.progress = "Downloading the weights.", 0.123456
    told = {"status": "loading", "message": "Downloading the weights.", "progress": 0.123}
    assert await health_of(loading, tmp_path) == (503, told)

    def load(report: object) -> FakeModel:
        raise EngineUnavailable("There is no GPU with 16 GB.")

    failed = Engine(load, 1)
    await failed.start()
    await until(lambda: failed.state is EngineState.FAILED)
    status, body = await health_of(failed, tmp_path)
    assert (status, body["status"], body["message"]) == (503, "failed", "There is no GPU with 16 GB.")


async def test_a_server_that_shuts_down_is_not_healthy(call_manager: CallManager, client: AsyncClient):
    await call_manager.engine.close()
    response = await client.get("/health")
    assert (response.status_code, response.json()["status"]) == (503, "draining")


async def test_a_server_that_is_being_renewed_says_so(call_manager: CallManager, client: AsyncClient):
    call_manager.quiet_end.begin(60)
    response = await client.get("/health")
    assert (response.status_code, response.json()["status"]) == (503, "draining")
    assert "being renewed" in response.json()["message"]
    call_manager.quiet_end.take_back()
    assert (await client.get("/health")).json()["status"] == "healthy"


async def test_voices_are_named_as_older_clients_know_them(client: AsyncClient):
    response = await client.get("/voices")
    assert response.json() == {"voices": ["NATF2.pt", "NATM1.pt"], "default": "NATF2.pt"}


async def test_a_preview_is_a_wav(client: AsyncClient):
    response = await client.get("/voices/NATM1/preview.wav")
    assert (response.status_code, response.headers["content-type"]) == (200, "audio/wav")
    assert "max-age" in response.headers["cache-control"]
    assert soundfile.info(io.BytesIO(response.content)).duration == 6.0


@pytest.mark.parametrize("name", ["NATF9", "%20", "..%5c..%5cNATF2", "%3Cscript%3E", "x" * 5_000])
async def test_a_preview_of_an_unknown_voice_is_not_found(client: AsyncClient, name: str):
    response = await client.get(f"/voices/{name}/preview.wav")
    assert response.status_code == 404
    assert "no voice" in response.json()["detail"]
    assert len(response.json()["detail"]) < 200


async def test_a_preview_that_cannot_be_made_now_is_told_in_words(client: AsyncClient, model: FakeModel):
    model.fail_steps = 1
    response = await client.get("/voices/NATM1/preview.wav")
    assert (response.status_code, "call again" in response.json()["detail"]) == (503, True)


# Recordings and transcripts --------------------------------------------------------------------------


@pytest.mark.parametrize(("query", "kind"), [("", "inline"), ("?download=true", "attachment")])
async def test_the_owner_gets_the_recording(client: AsyncClient, call: str, query: str, kind: str):
    response = await client.get(f"/calls/{call}/recording.wav{query}", headers=OWNER)
    assert (response.status_code, response.headers["content-type"]) == (200, "audio/wav")
    assert response.headers["content-disposition"] == f'{kind}; filename="personaplex-{call[:8]}.wav"'
    samples, rate_hz = soundfile.read(io.BytesIO(response.content), dtype="int16")
    assert (rate_hz, samples.shape) == (24_000, (24_000, 2))
    assert np.array_equal(samples.reshape(-1), np.arange(48_000, dtype=np.int16))


@pytest.mark.parametrize(
    ("extension", "media_type", "start"),
    [
        ("json", "application/json", '[\n  {\n    "start_sec": 0.5,\n    "end_sec": 2.25,\n    "text": "Hel'),
        (
            "txt",
            "text/plain; charset=utf-8",
            "[00:00] Assistant: Hello! Grüße.\n[00:02] Caller: (1.0 s of speech)\n[00:03] Typed: Say",
        ),
        ("srt", "application/x-subrip; charset=utf-8", "1\n00:00:00,500 --> 00:00:02,250\nHello! Grüße.\n"),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n\n00:00:00.500 --> 00:00:02.250\n<v Assistant>Hello!"),
    ],
)
async def test_the_owner_gets_the_transcript_in_four_formats(
    client: AsyncClient, call: str, extension: str, media_type: str, start: str
):
    response = await client.get(f"/calls/{call}/transcript.{extension}", headers=OWNER)
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert f'filename="personaplex-{call[:8]}.{extension}"' in response.headers["content-disposition"]
    assert response.content.decode().startswith(start)


@pytest.mark.parametrize("file", FILES)
async def test_nobody_else_gets_them(client: AsyncClient, call: str, file: str):
    for cookie in STRANGERS:
        response = await client.get(f"/calls/{call}/{file}", headers={"Cookie": cookie})
        unknown = await client.get(f"/calls/{'u' * 22}/{file}", headers={"Cookie": cookie})
        assert (response.status_code, response.content) == (404, unknown.content)


@pytest.mark.parametrize("file", ["recording.wav", "transcript.txt"])
@pytest.mark.parametrize("call_id", [*UNKNOWN_IDS, *HOSTILE_IDS])
async def test_a_hostile_id_finds_nothing(client: AsyncClient, call: str, call_id: str, file: str):
    assert (await client.get(f"/calls/{call_id}/{file}", headers=OWNER)).status_code == 404


async def test_there_is_no_other_format(client: AsyncClient, call: str):
    for extension in ("html", "wav", "JSON", "json.exe"):
        response = await client.get(f"/calls/{call}/transcript.{extension}", headers=OWNER)
        assert response.status_code == 404


async def test_a_recording_that_has_expired_is_gone_and_the_transcript_is_not(
    client: AsyncClient, call_manager: CallManager, call: str
):
    call_manager.store.recording_path(call).unlink()
    response = await client.get(f"/calls/{call}/recording.wav", headers=OWNER)
    assert (response.status_code, "no longer kept" in response.json()["detail"]) == (404, True)
    assert (await client.get(f"/calls/{call}/transcript.txt", headers=OWNER)).status_code == 200


# The owner's calls -----------------------------------------------------------------------------------


async def test_the_owner_sees_the_list_and_others_an_empty_one(client: AsyncClient, call: str):
    told = (await client.get("/calls", headers=OWNER)).json()
    [listed] = told["calls"]
    assert listed.pop("started_at") == pytest.approx(time.time(), abs=60)
    assert listed == {
        "call_id": call,
        "duration_sec": 1.0,
        "voice": "NATF2",
        "recorded": True,
        "title": "Hello! Grüße.",
    }
    for cookie in STRANGERS:
        assert (await client.get("/calls", headers={"Cookie": cookie})).json() == {"calls": []}


async def test_the_owner_gets_the_whole_call(client: AsyncClient, call_manager: CallManager, call: str):
    response = await client.get(f"/calls/{call}", headers=OWNER)
    told = response.json()
    assert response.status_code == 200
    assert told["lines"] == [line.record() for line in LINES]
    # The recording is noise, without a voice.
    assert told["turns"] == {"caller": [], "assistant": [], "overlaps": []}
    assert told["report"]["dead_air"]["count"] == 0
    assert told["figures"] == {"answer_sec": None, "caller_share": None, "interruptions": 0}
    assert told["keep_until"] == pytest.approx(told["started_at"] + 3601)
    assert (told["text_prompt"], told["reason"]) == ("Be kind.", "You hung up.")
    assert told["files"].pop("face") == f"calls/{call}/face.mp4"  # not of this router
    for kind, path in told["files"].items():
        file = await client.get(f"/{path}", headers=OWNER)
        assert (file.status_code, kind in (*path.split("."), "recording", "report")) == (200, True)
    call_manager.store.recording_path(call).unlink()
    told = (await client.get(f"/calls/{call}", headers=OWNER)).json()
    assert (told["recorded"], told["files"]["recording"]) == (False, None)
    assert (told["files"]["face"], told["files"]["report"], told["report"]) == (None, None, None)
    assert told["turns"] == {"caller": [[2.0, 3.04]], "assistant": [[0.48, 1.76]], "overlaps": []}
    assert told["figures"] == {"answer_sec": None, "caller_share": 0.448, "interruptions": 0}


async def test_a_recording_that_cannot_be_measured(
    client: AsyncClient, call_manager: CallManager, call: str, monkeypatch: pytest.MonkeyPatch
):
    """The call is told without a report, which may still come; who asks for the report alone is told why."""
    call_manager.store.recording_path(call).write_bytes(b"no sound")
    response = await client.get(f"/calls/{call}/report.json", headers=OWNER)
    assert (response.status_code, "cannot be read" in response.json()["detail"]) == (422, True)

    async def too_slow(*_: object) -> None:
        raise EngineUnavailable("It is still being made.")

    monkeypatch.setattr(call_manager.reports, "of_call", too_slow)
    response = await client.get(f"/calls/{call}/report.json", headers=OWNER)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    told = (await client.get(f"/calls/{call}", headers=OWNER)).json()
    assert (told["report"], told["files"]["report"]) == (None, f"calls/{call}/report.json")
    assert told["turns"]["caller"] == [[2.0, 3.04]]


async def test_nobody_else_gets_or_deletes_it(client: AsyncClient, call: str):
    for method in ("GET", "DELETE"):
        for cookie in STRANGERS:
            response = await client.request(method, f"/calls/{call}", headers={"Cookie": cookie})
            unknown = await client.request(method, f"/calls/{'u' * 22}", headers={"Cookie": cookie})
            assert (response.status_code, response.content) == (404, unknown.content)
        for call_id in (*UNKNOWN_IDS, *HOSTILE_IDS):
            assert (await client.request(method, f"/calls/{call_id}", headers=OWNER)).status_code == 404
    assert (await client.get(f"/calls/{call}", headers=OWNER)).status_code == 200


async def test_deleting_leaves_nothing_and_may_be_repeated(
    client: AsyncClient, call_manager: CallManager, call: str
):
    for _ in range(2):
        response = await client.delete(f"/calls/{call}", headers=OWNER)
        assert (response.status_code, response.content) == (204, b"")
    assert not call_manager.store.recording_path(call).exists()
    for file in ("", *(f"/{name}" for name in FILES)):
        assert (await client.get(f"/calls/{call}{file}", headers=OWNER)).status_code == 404
    assert (await client.get("/calls", headers=OWNER)).json() == {"calls": []}


async def test_a_call_in_progress_cannot_be_deleted(client: AsyncClient, call_manager: CallManager):
    call_id = CallStore.new_call_id()
    call_manager.store.begin("o" * 43, call_id, time.time(), "NATF2")
    response = await client.delete(f"/calls/{call_id}", headers=OWNER)
    assert (response.status_code, "End it first" in response.json()["detail"]) == (409, True)


async def test_a_disk_that_does_not_let_go_is_told_in_words(
    client: AsyncClient, call: str, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> None:
        raise StorageFailed("calls.sqlite3 cannot be used: locked")

    monkeypatch.setattr(CallTable, "remove", refuse)
    response = await client.delete(f"/calls/{call}", headers=OWNER)
    assert (response.status_code, "try again" in response.json()["detail"]) == (503, True)
    assert "sqlite" not in response.text
