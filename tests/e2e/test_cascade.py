"""A spoken question about a role's facts is answered right, in sound and text, by the app without a GPU.

The real parts, on weights that are fetched once into the user's cache; the caller's voice is one of Kokoro's.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.speech.recognition.whisper import WhisperRecogniser
from personaplex_ui.speech.synthesis.kokoro import KokoroSynthesiser
from tests.support.app_process import TELEPHONE, AppProcess, running_app
from tests.support.clients.phone_speech import ask, listen
from tests.support.clients.twilio_account import TwilioAccount
from tests.support.weights import weights_folder

ROLE = (
    "You work for City Bikes, which rents bicycles, and your name is Alex. We open at 8 in the morning. "
    "A city bike costs 12 dollars a day, an electric bike costs 30 dollars a day. Helmets are free."
)
CALLER = "VARM2"
CALL_SID = "CA" + 16 * "5c"
GREETED_SEC, ANSWERED_SEC = 7.0, 9.0

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def weights() -> Path:
    """Where they are."""
    weights_folder("kokoro")
    return weights_folder("whisper-tiny.en").parent


@pytest.fixture(scope="module")
def app(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    variables = {"ENGINE": "cascade", "CAPTIONS": "auto", "SPEECH_WEIGHTS_DIR": str(weights), **TELEPHONE}
    variables |= {"PHONE_RECORD": "1", "PHONE_PERSONAS": json.dumps({"*": {"text_prompt": ROLE}})}
    with running_app(tmp_path_factory.mktemp("cascade"), **variables) as app:
        yield app


@pytest.fixture(scope="module")
def voice(weights: Path) -> KokoroSynthesiser:
    return KokoroSynthesiser.in_folder(weights / "kokoro")


def silence(sec: float) -> Samples:
    return np.zeros(round(sec * SAMPLE_RATE_HZ), dtype=np.float32)


def test_a_question_about_the_roles_facts_is_answered_right_in_sound_and_text(
    app: AppProcess, voice: KokoroSynthesiser, weights: Path, tmp_path: Path
):
    question = voice.synthesise("How much is an electric bike for a day?", CALLER)
    clip = tmp_path / "question.wav"
    soundfile.write(
        clip, np.concatenate([silence(GREETED_SEC), question, silence(ANSWERED_SEC)]), SAMPLE_RATE_HZ
    )
    client = Client(app.url, verbose=False)
    path, lines = client.predict(
        audio=handle_file(str(clip)), voice="NATF2", text_prompt=ROLE, api_name="/converse"
    )
    said: list[dict[str, Any]] = [line for line in lines if line["speaker"] == "assistant"]
    assert "Alex" in said[0]["text"]
    assert re.search(r"\b(30|thirty)\b", said[-1]["text"])
    assert "12" not in said[-1]["text"]
    [asked] = [line for line in lines if line["speaker"] == "caller"]
    assert "electric bike" in asked["text"]
    assert GREETED_SEC <= asked["start_sec"] < asked["end_sec"] < GREETED_SEC + 5
    sound, rate_hz = soundfile.read(path, dtype="float32")
    assert rate_hz == SAMPLE_RATE_HZ
    asked_until = GREETED_SEC + len(question) / SAMPLE_RATE_HZ
    answer = np.asarray(sound[round(asked_until * SAMPLE_RATE_HZ) :], dtype=np.float32)
    assert rms_dbfs(answer) > -40.0
    heard = WhisperRecogniser(weights / "whisper-tiny.en").recognise(answer).text.lower()
    assert re.search(r"\b(30|thirty)\b", heard)


@pytest.mark.alone
async def test_a_question_on_the_telephone_is_answered_right_in_sound_and_in_the_record(
    app: AppProcess, voice: KokoroSynthesiser, weights: Path
):
    question = voice.synthesise("How much is an electric bike for a day?", CALLER)
    async with httpx.AsyncClient(base_url=app.url) as http:
        twilio = TwilioAccount(http)
        answer = await twilio.ask("/twilio/inbound", CALL_SID)
        async with twilio.stream(answer, CALL_SID) as peer:
            await listen(peer)
            sound = await ask(peer, question)
            await peer.stop()
            await peer.websocket.wait_closed()
        await twilio.ended(answer, CALL_SID)
    heard = WhisperRecogniser(weights / "whisper-tiny.en").recognise(sound).text.lower()
    assert re.search(r"\b(30|thirty)\b", heard)
    said = [
        line["text"] for line in app.kept_phone_call(CALL_SID)["conversation"] if line["who"] == "assistant"
    ]
    assert "Alex" in said[0]
    assert re.search(r"\b(30|thirty)\b", said[-1])
    assert "12" not in said[-1]


def test_the_server_says_what_it_is_made_of_and_that_the_voices_are_others(app: AppProcess):
    told = httpx.get(f"{app.url}/health").json()
    assert (told["model"], told["device"]) == ("cascade", "cpu")
    assert "Whisper" in told["runtime"]["reasons"][0]
    assert told["captions"] == {"found_by": "Whisper tiny.en"}
    assert "voices of its own" in told["licence"]
    assert "message" not in told
