"""What a caller said, recognised by Whisper on this machine's CPU.

Knows windows, levels and languages; ``whisper_model`` runs the weights.
"""

from pathlib import Path

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.speech.parts import Recognised, SpeechPartFailed
from personaplex_ui.speech.recognition.mel import FRAMES_PER_SEC, WHISPER_RATE_HZ, Sound16k, log_mel
from personaplex_ui.speech.recognition.pieces import pieces_of
from personaplex_ui.speech.recognition.plausibility import (
    MOST_NO_SPEECH,
    SURE_NO_SPEECH,
    is_doubtful,
    is_loop,
    is_speech,
    without_repeats,
)
from personaplex_ui.speech.recognition.sound import levelled, spoken_sec
from personaplex_ui.speech.recognition.whisper_model import Encoded, WhisperModel

SHORT_WINDOW_FRAMES = 1_100
LONG_WINDOW_FRAMES = 3_000
"""Whisper was trained on 30 s, which take 0.53 s of one core for an utterance; 11 s take 0.15 s. Words wrong,
of 920 spoken clean, in noise (20 and 10 dB), by telephone, weakly, with and without a role: 7 s 10.7 %, 9 s
8.3 %, 11 s 6.7 %, 20 s 6.2 %, 30 s 6.4 %."""

AFTER_WORDS_SEC = 0.5
"""Silence that has to follow in a window."""

MAX_SEC = 900.0

TOKENS_PER_SEC = 10
LEAST_TOKENS = 20
"""Fast speech has 6 tokens a second; the limit ends what repeats itself."""


class WhisperRecogniser:
    """``folder``: the weights, as ``WeightStore.path_of("whisper-tiny.en")`` gives them. ``threads``: cores
    for one utterance. Any thread may call; calls at once wait for each other.

    Raises:
        SpeechPartFailed: the weights cannot be loaded.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        try:
            self._model = WhisperModel(folder, threads)
        except Exception as error:  # tokenizers raises Exception itself
            raise SpeechPartFailed(
                f"The weights for speech recognition in {folder} cannot be loaded. Delete that folder, then "
                "start again, so that they are fetched again."
            ) from error

    def recognise(self, samples: Samples, context: str = "", language: str = "") -> Recognised:
        """See ``Recogniser``. 0.15 s for an utterance of up to 10.5 s on one core, 0.6 s for one of 30 s.

        A ``language`` that the weights do not know is detected; those of English alone take all for English.
        """
        if len(samples) > MAX_SEC * SAMPLE_RATE_HZ:
            raise SpeechPartFailed(
                f"The sound is longer than {MAX_SEC / 60:.0f} minutes, too long to be recognised. Cut it."
            )
        sound = levelled(samples)
        if sound is None:
            return Recognised("", "")
        try:
            tokens = self._model.context_tokens(context)
            said: list[str] = []
            spoken, doubtful = "", False
            for piece in pieces_of(sound):
                heard = self._hear(piece, tokens, spoken or language)
                if heard.text:
                    said.append(heard.text)
                    spoken, doubtful = spoken or heard.language, doubtful or heard.doubtful
        except (RuntimeError, ValueError, MemoryError) as error:
            raise SpeechPartFailed(
                "Speech could not be recognised, because the model failed. Start again; if that does not "
                "help, delete its weights, so that they are fetched again."
            ) from error
        return Recognised(" ".join(said), spoken, doubtful)

    def _hear(self, piece: Sound16k, context: list[int], language: str) -> Recognised:
        """What ``piece``, which fits a window, says."""
        seconds = len(piece) / WHISPER_RATE_HZ
        most_tokens = LEAST_TOKENS + int(seconds * TOKENS_PER_SEC)
        is_short = seconds + AFTER_WORDS_SEC <= SHORT_WINDOW_FRAMES / FRAMES_PER_SEC
        encoded, language = self._encode(
            piece, SHORT_WINDOW_FRAMES if is_short else LONG_WINDOW_FRAMES, language
        )
        heard = self._model.decode(encoded, language, context, most_tokens)
        if not is_speech(heard, bool(context)):
            return Recognised("", language)
        if context and heard.no_speech > SURE_NO_SPEECH:
            without_context = self._model.decode(encoded, language, [], most_tokens=1)
            if without_context.no_speech > MOST_NO_SPEECH:
                return Recognised("", language)
        if is_loop(heard.text):
            encoded, language = self._encode(piece, LONG_WINDOW_FRAMES, language)
            heard = self._model.decode(encoded, language, [], most_tokens, repeats=False)
            if is_loop(heard.text) or not is_speech(heard, False):
                return Recognised("", language)
        return Recognised(without_repeats(heard.text, spoken_sec(piece)), language, is_doubtful(heard))

    def _encode(self, piece: Sound16k, frames: int, language: str) -> tuple[Encoded, str]:
        """``piece`` encoded in a window of ``frames``, and its language, which is detected if unknown."""
        encoded = self._model.encode(log_mel(piece, self._model.bands, frames))
        if not self._model.is_multilingual:
            return encoded, "en"
        if self._model.knows_language(language):
            return encoded, language
        return encoded, self._model.language_of(encoded)
