"""What a caller said, recognised by a server with OpenAI's API: ``POST /audio/transcriptions``.

Nothing that the server sends is trusted: its answer has limits in time, size and form.
"""

import io
import json
import time
import wave
from collections.abc import Callable
from typing import cast

import httpx
import numpy as np

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.errors import setting
from personaplex_ui.plain_text import unusable_characters
from personaplex_ui.speech.parts import Recognised, SpeechPartFailed
from personaplex_ui.speech.recognition.mel import WHISPER_RATE_HZ, Sound16k
from personaplex_ui.speech.recognition.sound import levelled
from personaplex_ui.speech.servers import authorization, can_be_sent, endpoint

BASE_URL, API_KEY, MODEL = setting("STT_BASE_URL"), setting("STT_API_KEY"), setting("STT_MODEL")

LIMIT_SEC = 15.0
"""For a whole answer; a caller waits for it."""

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
CONNECTIONS = httpx.Limits(max_connections=16, max_keepalive_connections=4)
MAX_ANSWER_BYTES = 1_000_000
MAX_TEXT_CHARS = 50_000
MAX_CONTEXT_CHARS = 800
"""Whisper reads 224 tokens of it, the last."""

MAX_SEC = 600.0
"""20 MB of WAV; OpenAI's server takes 25."""


class HttpRecogniser:
    """The server at ``base_url``, as in ``https://api.openai.com/v1``. Any thread may call.

    ``api_key``: empty for a server that asks for none. ``client``: one that follows no redirects, since they
    would be given the key; None for one of its own.

    Raises:
        SpeechPartFailed: the address or the key cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        model: str,
        client: httpx.Client | None = None,
        limit_sec: float = LIMIT_SEC,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = _address(base_url)
        if not can_be_sent(api_key):
            raise SpeechPartFailed(f"{API_KEY} holds characters that no key has. Copy the key again.")
        # Compressed answers could be far larger than they look.
        self._headers = {"Accept-Encoding": "identity", **authorization(api_key)}
        self._model = model
        self._client = client or httpx.Client(timeout=TIMEOUT, limits=CONNECTIONS)
        self._limit_sec = limit_sec
        self._clock = clock

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def recognise(self, samples: Samples, context: str = "", language: str = "") -> Recognised:
        """See ``Recogniser``. Silence is not sent."""
        if len(samples) > MAX_SEC * SAMPLE_RATE_HZ:
            raise SpeechPartFailed(
                f"The sound is longer than {MAX_SEC / 60:.0f} minutes, too long to be recognised. Cut it."
            )
        sound = levelled(samples)
        if sound is None:
            return Recognised("", "")
        fields = {"model": self._model, "response_format": "json", "temperature": "0"}
        if context.strip():
            fields["prompt"] = " ".join(context.split())[-MAX_CONTEXT_CHARS:]
        if language:
            fields["language"] = language
        status, body = self._ask(fields, _wav(sound))
        if status != 200:
            raise SpeechPartFailed(_refusal(status))
        return _recognised(body, language)

    def _ask(self, fields: dict[str, str], wav: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        ends_at = self._clock() + self._limit_sec
        body = bytearray()
        try:
            with self._client.stream(
                "POST",
                self._address,
                headers=self._headers,
                data=fields,
                files={"file": ("speech.wav", wav, "audio/wav")},
            ) as answer:
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MAX_ANSWER_BYTES:
                        raise SpeechPartFailed(
                            "The server that recognises speech sends far more than a text. "
                            f"Check that {BASE_URL} is the address of such a server."
                        )
                    if self._clock() > ends_at:
                        raise SpeechPartFailed(_too_slow(self._limit_sec))
        except httpx.TimeoutException as error:
            raise SpeechPartFailed(_too_slow(self._limit_sec)) from error
        except httpx.ConnectError as error:
            raise SpeechPartFailed(
                "The server that recognises speech cannot be reached. Check that it runs, and that "
                f"{BASE_URL} is its address."
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise SpeechPartFailed(
                "The connection to the server that recognises speech broke before the answer was there. "
                "Try again; if it happens often, check that server."
            ) from error
        return answer.status_code, bytes(body)


def _address(base_url: str) -> httpx.URL:
    address = endpoint(base_url, "/audio/transcriptions")
    if address is None:
        raise SpeechPartFailed(
            f"{BASE_URL} is not an address. It has to begin with http:// or https://, as in "
            "https://api.openai.com/v1."
        )
    return address


def _wav(sound: Sound16k) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(WHISPER_RATE_HZ)
        written.writeframes((np.clip(sound, -1.0, 1.0) * 32_767).astype("<i2").tobytes())
    return file.getvalue()


def _refusal(status: int) -> str:
    server = "The server that recognises speech"
    match status:
        case 401 | 403:
            return f"{server} does not accept the key. Correct {API_KEY}."
        case 404 | 405:
            return f"{server} does not know the address or the model. Correct {BASE_URL} or {MODEL}."
        case 413:
            return f"{server} takes no sound as long as this. Cut it, or allow that server more."
        case 429:
            return f"{server} is asked too often, or its quota is used up. Wait, or raise the limit there."
        case _ if 300 <= status < 400:
            return f"{server} sends us elsewhere. Set {BASE_URL} to its final address."
        case _ if status >= 500:
            return f"{server} is in trouble itself (status {status}). Try again later, or look at its log."
        case _:
            return f"{server} refused the sound (status {status}). Check {MODEL} and that server's log."


def _too_slow(limit_sec: float) -> str:
    return (
        f"The server that recognises speech took longer than {limit_sec:.0f} s, so what was said is lost. "
        "Try again; if it happens often, choose a faster server or model."
    )


def _recognised(body: bytes, language: str) -> Recognised:
    if body.lstrip()[:1] == b"<":
        raise SpeechPartFailed(
            f"A web page came instead of a text. Set {BASE_URL} to the address of the API, which often "
            "ends in /v1."
        )
    try:
        answer = cast(object, json.loads(body))
    except (ValueError, RecursionError):
        answer = None
    fields = cast(dict[str, object], answer) if isinstance(answer, dict) else {}
    text, spoken = fields.get("text"), fields.get("language")
    if not isinstance(text, str) or len(text) > MAX_TEXT_CHARS:
        raise SpeechPartFailed(
            "The server that recognises speech does not answer as OpenAI's API does. Check that "
            f"{BASE_URL} is the address of such a server."
        )
    if unusable_characters(text):
        text = "".join(character for character in text if not unusable_characters(character))
    is_code = isinstance(spoken, str) and len(spoken) == 2 and spoken.isascii() and spoken.isalpha()
    return Recognised(" ".join(text.split()), cast(str, spoken).lower() if is_code else language)
