"""Speech from a server that speaks OpenAI's ``/audio/speech``: OpenAI itself, Kokoro-FastAPI, LocalAI, vLLM
and many others.

Knows HTTP, not settings. Nothing of an answer but its sound goes anywhere: not into errors, nor into logs.
"""

import time
from http import HTTPStatus
from typing import Literal

import httpx

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.errors import setting
from personaplex_ui.speech.parts import SpeechPartFailed
from personaplex_ui.speech.servers import authorization, can_be_sent, endpoint
from personaplex_ui.speech.synthesis.levelling import levelled, silence
from personaplex_ui.speech.synthesis.spoken_text import spoken
from personaplex_ui.speech.synthesis.voice_choice import is_male
from personaplex_ui.speech.synthesis.wave_bytes import pcm_sound, wav_sound

MOST_CHARACTERS = 1_000
MOST_BYTES = 8_000_000
"""A minute at 48 kHz has 5.8 MB, and one sentence is shorter."""

MOST_SOUND_SEC = 90.0
WITHIN_SEC = 10.0

Format = Literal["wav", "pcm"]
_REMEDIES: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: f"the key was refused. Correct {setting('TTS_API_KEY')}.",
    HTTPStatus.FORBIDDEN: f"the key may not be used for this. Correct {setting('TTS_API_KEY')}.",
    HTTPStatus.NOT_FOUND: f"it does not know the address or the model. Correct {setting('TTS_BASE_URL')} or "
    f"{setting('TTS_MODEL')}.",
    HTTPStatus.TOO_MANY_REQUESTS: "it has too much to do, or the account's limit is reached. Wait, or "
    "raise that limit.",
}


class HttpSynthesiser:
    """A ``Synthesiser`` that many threads may use at once.

    ``base_url``: as in ``https://api.openai.com/v1``. ``voice``: the server's voice for all names of the
    catalogue, or, with ``male_voice``, for all but the men. ``sound_format``: what to ask for; ``pcm`` is 24
    kHz and arrives without a header. ``within_sec``: for the whole answer.

    Raises:
        SpeechPartFailed: the address or the key cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        model: str,
        voice: str,
        male_voice: str = "",
        sound_format: Format = "wav",
        within_sec: float = WITHIN_SEC,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = _speech_url(base_url)
        if not can_be_sent(api_key):
            raise SpeechPartFailed(
                f"The key of the speech server has characters that no key has. Correct "
                f"{setting('TTS_API_KEY')}."
            )
        self._model = model
        self._voice, self._male_voice = voice, male_voice or voice
        self._format: Format = sound_format
        self._within_sec = within_sec
        # Compressed answers could be far larger than they look.
        headers = {"Accept-Encoding": "identity", **authorization(api_key)}
        # Redirects are not followed, so the key is sent nowhere else.
        self._client = httpx.Client(headers=headers, timeout=within_sec, transport=transport)

    def close(self) -> None:
        """Close the connections; nothing can be said afterwards."""
        self._client.close()

    def synthesise(self, text: str, voice: str) -> Samples:
        """See ``Synthesiser``; empty where ``text`` has nothing to say.

        Raises:
            SpeechPartFailed: the server refused, failed, was too slow, or sent no sound.
        """
        if len(text) > MOST_CHARACTERS:
            raise SpeechPartFailed(
                f"A text of {len(text):,} characters is too long to be said at once; {MOST_CHARACTERS:,} "
                "are the most. Say it sentence by sentence."
            )
        if not spoken(text):
            return silence(0)
        body = {
            "model": self._model,
            "input": text.encode("utf-8", "replace").decode("utf-8"),
            "voice": self._male_voice if is_male(voice) else self._voice,
            "response_format": self._format,
        }
        try:
            kind, content = self._ask(body)
        except httpx.TimeoutException:
            raise self._too_slow() from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise SpeechPartFailed(
                f"The speech server cannot be reached, or broke off ({type(error).__name__}). See whether "
                f"it runs, and whether {setting('TTS_BASE_URL')} is its address."
            ) from None
        return self._sound_in(kind, content)

    def _ask(self, body: dict[str, str]) -> tuple[str, bytes]:
        """Content type and content of the answer."""
        ends = time.monotonic() + self._within_sec
        with self._client.stream("POST", self._url, json=body) as answer:
            if answer.status_code != HTTPStatus.OK:
                raise SpeechPartFailed(f"The speech server could not be used: {_trouble(answer.status_code)}")
            content = bytearray()
            for piece in answer.iter_raw():
                content += piece
                if len(content) > MOST_BYTES:
                    raise SpeechPartFailed(
                        f"The speech server sent more than {MOST_BYTES // 1_000_000} MB for one sentence. "
                        f"Choose another format, or another model in {setting('TTS_MODEL')}."
                    )
                if time.monotonic() > ends:
                    raise self._too_slow()
            return answer.headers.get("content-type", "").lower(), bytes(content)

    def _sound_in(self, kind: str, content: bytes) -> Samples:
        if kind.startswith("text/") or content[:1] == b"<":
            raise SpeechPartFailed(
                "The speech server answered with a page instead of sound. Correct "
                f"{setting('TTS_BASE_URL')}; it often ends in /v1."
            )
        if "json" in kind or content[:1] == b"{":
            raise SpeechPartFailed(
                "The speech server answered with a message instead of sound. See whether "
                f"{setting('TTS_MODEL')} names a model for speech."
            )
        try:
            # Some servers send WAV whatever they are asked for.
            bare = self._format == "pcm" and content[:4] != b"RIFF"
            sound = pcm_sound(content) if bare else wav_sound(content)
        except ValueError as error:
            raise SpeechPartFailed(
                f"The sound of the speech server cannot be used: {error}. Try again, or another server."
            ) from error
        if len(sound) > MOST_SOUND_SEC * SAMPLE_RATE_HZ:
            raise SpeechPartFailed(
                f"The speech server sent more than {MOST_SOUND_SEC:g} s of sound for one sentence. Use "
                "another model."
            )
        sound = levelled(sound)
        if not len(sound):
            raise SpeechPartFailed(
                f"The speech server sent silence. See whether it knows the voice in {setting('TTS_VOICE')}."
            )
        return sound

    def _too_slow(self) -> SpeechPartFailed:
        return SpeechPartFailed(
            f"The speech server took more than {self._within_sec:g} s for one sentence. Use one that is "
            "faster or nearer."
        )


def _speech_url(base_url: str) -> httpx.URL:
    url = endpoint(base_url, "/audio/speech")
    if url is None:
        raise SpeechPartFailed(
            f"The address of the speech server is no web address. Correct {setting('TTS_BASE_URL')}, as in "
            "https://api.openai.com/v1."
        )
    return url


def _trouble(status: int) -> str:
    if status in _REMEDIES:
        return _REMEDIES[status]
    if 300 <= status < 400:
        return f"it sends callers elsewhere (HTTP {status}). Correct {setting('TTS_BASE_URL')}."
    if status >= 500:
        return f"it is out of order (HTTP {status}). Try again later, or see its log."
    return f"it refused the request (HTTP {status}). Check {setting('TTS_MODEL')} and {setting('TTS_VOICE')}."
