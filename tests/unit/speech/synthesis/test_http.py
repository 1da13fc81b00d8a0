"""A speech server that works, and all the ways in which one does not."""

import json
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress

import httpx
import numpy as np
import pytest

from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.speech.parts import SpeechPartFailed, Synthesiser
from personaplex_ui.speech.synthesis.http import MOST_BYTES, HttpSynthesiser

KEY = "sk-secret-of-the-operator"
TONE = (3_000 * np.sin(2 * np.pi * 300 * np.arange(24_000) / 24_000)).astype("<i2").tobytes()


def wav(pcm: bytes = TONE) -> bytes:
    header = b"WAVEfmt " + bytes.fromhex("10000000 0100 0100 c05d0000 80bb0000 0200 1000")
    body = header + b"data" + len(pcm).to_bytes(4, "little") + pcm
    return b"RIFF" + len(body).to_bytes(4, "little") + body


Handler = Callable[[httpx.Request], httpx.Response]


def synthesiser(handler: Handler, **options: str) -> HttpSynthesiser:
    given = {
        "base_url": "https://speech.example/v1/",
        "api_key": KEY,
        "model": "tts-1",
        "voice": "alloy",
    } | options
    return HttpSynthesiser(transport=httpx.MockTransport(handler), **given)  # pyright: ignore[reportArgumentType]


def always(status: int, content: bytes = b"", kind: str = "audio/wav") -> Handler:
    return lambda request: httpx.Response(status, content=iter([content]), headers={"content-type": kind})


def test_a_sentence_is_asked_for_as_openai_describes_it() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, content=iter([wav()]))

    said: Synthesiser = synthesiser(answer, male_voice="onyx")
    sound = said.synthesise("It is $5, ok?", "NATF1")
    said.synthesise("Hello.", "NATM1")
    assert str(requests[0].url) == "https://speech.example/v1/audio/speech"
    assert requests[0].method == "POST"
    assert requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(requests[0].content) == {
        "model": "tts-1",
        "input": "It is $5, ok?",
        "voice": "alloy",
        "response_format": "wav",
    }
    assert json.loads(requests[1].content)["voice"] == "onyx"
    assert sound.dtype == np.float32
    assert rms_dbfs(sound) == pytest.approx(-20.0, abs=0.5)


def test_a_server_without_a_key_is_sent_none() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers
        return httpx.Response(200, content=iter([wav()]))

    assert len(synthesiser(answer, api_key="").synthesise("Hello.", "NATF0"))


@pytest.mark.parametrize("content", [TONE, wav()])
def test_bare_samples_and_servers_that_send_wav_instead(content: bytes) -> None:
    sound = synthesiser(always(200, content, "audio/pcm"), sound_format="pcm").synthesise("Hello.", "NATF0")
    assert len(sound) == pytest.approx(24_000, abs=480)


def test_nothing_to_say_is_not_asked_for() -> None:
    assert synthesiser(always(500)).synthesise(" … 😀", "NATF0").shape == (0,)


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (always(401, b"bad key " + KEY.encode()), "the key was refused. Correct TTS_API_KEY"),
        (always(403), "may not be used for this"),
        (always(404), "does not know the address or the model. Correct TTS_BASE_URL or TTS_MODEL"),
        (always(429), "too much to do, or the account's limit is reached. Wait"),
        (always(400), r"refused the request \(HTTP 400\). Check TTS_MODEL and TTS_VOICE"),
        (always(307), r"elsewhere \(HTTP 307\)"),
        (always(500), r"out of order \(HTTP 500\). Try again later"),
        (always(503), r"out of order \(HTTP 503\)"),
        (always(599), r"out of order \(HTTP 599\)"),
        (always(200, b"<!doctype html>", "text/html"), "a page instead of sound. Correct TTS_BASE_URL"),
        (always(200, b" <html>", "TEXT/HTML; charset=utf-8"), "a page instead of sound"),
        (always(200, b"<html>"), "a page instead of sound"),
        (always(200, b'{"error": 1}', "application/json"), "a message instead of sound"),
        (always(200, b'{"error": 1}'), "a message instead of sound"),
        (always(200, b""), "not a WAV file"),
        (always(200, b"ID3 an MP3"), "not a WAV file"),
        (always(200, wav()[:9_000]), "cut off. Try again"),
        (always(200, wav(bytes(48_000))), "sent silence. See whether it knows the voice in TTS_VOICE"),
        (always(200, wav(TONE * 91)), "more than 90 s of sound"),
        (always(200, wav() + bytes(10_000_000)), "more than 8 MB for one sentence"),
    ],
)
def test_answers_that_are_no_speech(handler: Handler, told: str) -> None:
    with pytest.raises(SpeechPartFailed, match=told) as caught:
        synthesiser(handler).synthesise("Hello.", "NATF0")
    assert KEY not in str(caught.value)
    assert KEY not in repr(caught.value.__cause__)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (httpx.ConnectError("no route"), r"cannot be reached, or broke off \(ConnectError\)"),
        (httpx.ReadTimeout("slow"), "took more than 10 s for one sentence"),
        (httpx.ConnectTimeout("slow"), "took more than 10 s"),
        (httpx.RemoteProtocolError("cut"), r"broke off \(RemoteProtocolError\)"),
    ],
)
def test_connections_that_fail(fault: Exception, told: str) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise fault

    with pytest.raises(SpeechPartFailed, match=told):
        synthesiser(fail).synthesise("Hello.", "NATF0")


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 65_536
            yield bytes(65_536)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=endless())

    with pytest.raises(SpeechPartFailed, match="more than 8 MB"):
        synthesiser(answer).synthesise("Hello.", "NATF0")
    assert read < MOST_BYTES + 200_000


@contextmanager
def raw_server(serve: Callable[[socket.socket, threading.Event], None]) -> Generator[str]:
    """A server on loopback that reads one request and has ``serve`` answer it, until the event is set."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                with suppress(OSError):  # the client has left, as it should
                    serve(connection, over)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            over.set()
            thread.join()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: audio/wav\r\ncontent-length: %d\r\n\r\n" % len(wav())


def _mute(connection: socket.socket, over: threading.Event) -> None:
    over.wait(30)


def _drip(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD)
    for at in range(len(wav())):
        connection.sendall(wav()[at : at + 1])
        if over.wait(0.02):
            return


def _cut(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + wav()[:1_000])


def _nonsense(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"\x00\x01 this is no HTTP\r\n\r\n")


@pytest.mark.parametrize(
    ("serve", "told"),
    [
        (_mute, "took more than 0.3 s"),
        (_drip, "took more than 0.3 s"),
        (_cut, "broke off"),
        (_nonsense, "broke off"),
    ],
)
def test_servers_on_a_real_socket(serve: Callable[[socket.socket, threading.Event], None], told: str) -> None:
    with raw_server(serve) as url:
        said = HttpSynthesiser(url, KEY, "tts-1", "alloy", within_sec=0.3)
        try:
            with pytest.raises(SpeechPartFailed, match=told):
                said.synthesise("Hello.", "NATF0")
        finally:
            said.close()


@pytest.mark.parametrize(
    "url", ["", "api.openai.com/v1", "ftp://a/v1", "http://", "file:///etc", "http://a:b:c"]
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(SpeechPartFailed, match=r"no web address. Correct TTS_BASE_URL"):
        HttpSynthesiser(url, KEY, "tts-1", "alloy")


def test_a_key_that_is_none_is_not_shown() -> None:
    with pytest.raises(SpeechPartFailed, match="Correct TTS_API_KEY") as caught:
        HttpSynthesiser("https://a/v1", f"{KEY}\n", "tts-1", "alloy")
    assert KEY not in str(caught.value)


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(SpeechPartFailed, match="1,001 characters is too long"):
        synthesiser(always(200, wav())).synthesise("a" * 1_001, "NATF0")


def test_broken_characters_are_sent_as_something_else() -> None:
    assert len(synthesiser(always(200, wav())).synthesise("Hello \ud800", "NATF0"))
