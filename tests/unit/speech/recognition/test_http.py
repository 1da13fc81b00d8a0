"""A server that recognises speech: what it is asked, and what becomes of each answer."""

import io
import json
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
import soundfile

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.speech.parts import Recognised, SpeechPartFailed
from personaplex_ui.speech.recognition.http import MAX_ANSWER_BYTES, HttpRecogniser
from tests.support.sounds import tone

KEY = "sk-averysecretkey"
HANG_UP = b"<hang up>"
BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
Answer = Callable[[httpx.Request], httpx.Response]


def asking(answer: Answer, base_url: str = "https://stt.example.org/v1", key: str = KEY) -> HttpRecogniser:
    client = httpx.Client(transport=httpx.MockTransport(answer))
    return HttpRecogniser(base_url, key, "whisper-1", client)


def answering(answer: httpx.Response) -> HttpRecogniser:
    return asking(lambda request: answer)


def refusal(recogniser: HttpRecogniser) -> str:
    with pytest.raises(SpeechPartFailed) as caught:
        recogniser.recognise(tone(1.0))
    sentence = str(caught.value)
    assert KEY not in sentence
    assert "example.org" not in sentence
    assert sentence.endswith(".")
    return sentence


def form_of(request: httpx.Request) -> dict[str, bytes]:
    """The fields of a multipart body."""
    boundary = b"--" + request.headers["content-type"].partition("boundary=")[2].encode()
    fields: dict[str, bytes] = {}
    for part in request.content.split(boundary)[1:-1]:
        head, _, body = part.partition(b"\r\n\r\n")
        fields[head.split(b'name="')[1].split(b'"')[0].decode()] = body.removesuffix(b"\r\n")
    return fields


def test_it_asks_as_openai_wants_to_be_asked() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"text": " Ten  of clubs. ", "language": "EN"})

    heard = asking(answer).recognise(tone(1.0), context=" A role. ", language="en")
    assert heard == Recognised("Ten of clubs.", "en")
    (request,) = asked
    assert (request.method, str(request.url)) == ("POST", "https://stt.example.org/v1/audio/transcriptions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept-encoding"] == "identity", "a compressed answer may be huge"
    form = form_of(request)
    sound = form.pop("file")
    assert form == {
        "model": b"whisper-1",
        "response_format": b"json",
        "temperature": b"0",
        "prompt": b"A role.",
        "language": b"en",
    }
    info = soundfile.info(io.BytesIO(sound))  # pyright: ignore[reportUnknownMemberType]
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (16_000, 1, "PCM_16", 16_000)


def test_without_key_context_and_language_nothing_is_said_of_them() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"text": "Hello."})

    assert asking(answer, "http://127.0.0.1:9/v1/", key="").recognise(tone(1.0)) == Recognised("Hello.", "")
    assert "authorization" not in asked[0].headers
    assert asked[0].url.path == "/v1/audio/transcriptions"
    assert form_of(asked[0]).keys() == {"model", "response_format", "temperature", "file"}


def test_of_a_long_role_the_end_is_sent() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"text": ""})

    asking(answer).recognise(tone(1.0), context="a" * 5_000 + " the end")
    prompt = form_of(asked[0])["prompt"]
    assert len(prompt) == 800
    assert prompt.endswith(b"a the end")


def test_silence_is_not_sent() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing is to be asked")

    assert asking(answer).recognise(np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)) == Recognised("", "")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "does not accept the key. Correct STT_API_KEY"),
        (403, "does not accept the key"),
        (404, "Correct STT_BASE_URL or STT_MODEL"),
        (413, "no sound as long as this"),
        (429, "asked too often"),
        (400, "Check STT_MODEL"),
        (500, "in trouble itself (status 500)"),
        (503, "in trouble itself (status 503)"),
        (302, "Set STT_BASE_URL to its final address"),
        (204, "refused the sound (status 204)"),
    ],
)
def test_each_refusal_has_its_sentence(status: int, words: str) -> None:
    headers = {"location": "https://elsewhere.example.org/"}
    answer = httpx.Response(status, json={"error": {"message": f"{KEY} is bad"}}, headers=headers)
    assert words in refusal(answering(answer))


def test_a_redirect_is_not_followed_with_the_key() -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(307, headers={"location": "https://elsewhere.example.org/"})

    refusal(asking(answer))
    assert [url.host for url in asked] == ["stt.example.org"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError("refused by stt.example.org"), "cannot be reached"),
        (httpx.ConnectTimeout("slow"), "took longer than"),
        (httpx.ReadTimeout("slow"), "took longer than"),
        (httpx.PoolTimeout("busy"), "took longer than"),
        (httpx.ReadError("reset"), "broke before the answer was there"),
        (httpx.RemoteProtocolError("closed"), "broke before the answer was there"),
        (httpx.LocalProtocolError("illegal header"), "broke before the answer was there"),
    ],
)
def test_a_connection_that_fails_is_a_sentence(error: httpx.HTTPError, words: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    assert words in refusal(asking(answer))


class Pieces(httpx.SyncByteStream):
    """A body that comes in pieces, and may break off."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces


def test_an_answer_that_breaks_off_is_a_sentence() -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"text": "Ten of'
        raise httpx.RemoteProtocolError("peer closed connection")

    answer = httpx.Response(200, stream=Pieces(pieces()))
    assert "broke before the answer was there" in refusal(answering(answer))


def test_an_answer_that_trickles_is_given_up() -> None:
    now_sec = 0.0

    def pieces() -> Iterator[bytes]:
        nonlocal now_sec
        while True:
            now_sec += 5.0
            yield b" "

    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Pieces(pieces())))
    recogniser = HttpRecogniser(
        "https://stt.example.org", KEY, "whisper-1", httpx.Client(transport=transport), 12.0, lambda: now_sec
    )
    assert "took longer than 12 s" in refusal(recogniser)
    assert now_sec == 15.0


def test_a_huge_answer_is_not_read_to_its_end() -> None:
    read_bytes = 0

    def pieces() -> Iterator[bytes]:
        nonlocal read_bytes
        for _ in range(100):
            read_bytes += 100_000
            yield b"x" * 100_000

    answer = httpx.Response(200, stream=Pieces(pieces()))
    assert "far more than a text" in refusal(answering(answer))
    assert read_bytes <= MAX_ANSWER_BYTES + 200_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"text": null}',
        b'{"text": ["a"]}',
        b'{"text": "cut',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        json.dumps({"text": "a " * 50_000}).encode(),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_nonsense_is_a_sentence(body: bytes) -> None:
    assert "does not answer as OpenAI's API does" in refusal(answering(httpx.Response(200, content=body)))


def test_a_web_page_is_a_sentence() -> None:
    page = httpx.Response(200, html="\n<!doctype html><p>Please sign in.</p>")
    assert "A web page came instead" in refusal(answering(page))


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"", "took longer than"),
        (BEGUN, "took longer than"),
        (BEGUN + HANG_UP, "broke before the answer was there"),
        (b"HTTP/1.1 200 OK\r\n" + HANG_UP, "broke before the answer was there"),
        (HANG_UP, "broke before the answer was there"),
        (b"220 mail.example.org ESMTP\r\n\r\n", "broke before the answer was there"),
    ],
)
def test_a_server_that_falls_silent_or_hangs_up_is_a_sentence(sent: bytes, words: str) -> None:
    with listening(sent) as port, httpx.Client(timeout=0.3) as client:
        recogniser = HttpRecogniser(f"http://127.0.0.1:{port}/v1", KEY, "whisper-1", client)
        assert words in refusal(recogniser)


@contextmanager
def listening(sent: bytes) -> Generator[int]:
    """A port where who asks is sent ``sent``. Then the line stays open, unless ``HANG_UP`` ends it."""
    done = threading.Event()

    def serve() -> None:
        line, _ = server.accept()
        with line:
            asked = b""
            while not asked.endswith(b"--\r\n"):
                asked += line.recv(65_536)
            line.sendall(sent.removesuffix(HANG_UP))
            if not sent.endswith(HANG_UP):
                done.wait()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            thread.join()


def test_what_cannot_be_shown_is_left_out() -> None:
    answer = httpx.Response(200, json={"text": "Ten\u0000 of\u001b[31m clubs.\n", "language": "english"})
    assert answering(answer).recognise(tone(1.0)) == Recognised("Ten of[31m clubs.", "")


def test_a_key_that_no_header_can_hold_is_refused_without_being_shown() -> None:
    with pytest.raises(SpeechPartFailed, match="STT_API_KEY") as caught:
        HttpRecogniser("https://stt.example.org", f"{KEY}\n", "whisper-1")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["", "stt.example.org/v1", "ftp://stt.example.org", "https://", "http://stt:port"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SpeechPartFailed, match="STT_BASE_URL is not an address"):
        HttpRecogniser(address, KEY, "whisper-1")


def test_too_much_sound_is_refused() -> None:
    with pytest.raises(SpeechPartFailed, match="longer than 10 minutes"):
        answering(httpx.Response(200)).recognise(np.zeros(601 * SAMPLE_RATE_HZ, dtype=np.float32))
