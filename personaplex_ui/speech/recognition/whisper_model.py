"""Whisper's weights, run by CTranslate2: one window of sound in, text and how sure it is out.

Keeps CTranslate2's and the tokenizer's loose types to itself.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, cast

import ctranslate2
import numpy as np
from tokenizers import Tokenizer

from personaplex_ui.speech.recognition.mel import Spectrogram
from personaplex_ui.speech.recognition.plausibility import Heard

BEAMS = 5
"""One beam costs 20 ms less, but repeats itself on short sound in the short window: 60, not 6.5 % WER."""

MOST_CONTEXT_TOKENS = 223
"""Half of the decoder's 448 positions, as in OpenAI's ``decoding.py``, less the token that begins it."""

MAX_POSITIONS = 448
NO_REPEAT_TOKENS = 3


class Encoded(Protocol):
    """Encoder states, in CTranslate2's memory."""


class _Generated(Protocol):
    sequences_ids: list[list[int]]
    scores: list[float]
    no_speech_prob: float


class _Runtime(Protocol):
    """What is used of ``ctranslate2.models.Whisper``; its own threads do the work, so any thread may call."""

    is_multilingual: bool
    n_mels: int

    def encode(self, features: object) -> Encoded: ...
    def detect_language(self, features: Encoded) -> list[list[tuple[str, float]]]: ...
    def generate(
        self,
        features: Encoded,
        prompts: list[list[int]],
        *,
        beam_size: int,
        max_length: int,
        no_repeat_ngram_size: int,
        return_scores: bool,
        return_no_speech_prob: bool,
    ) -> list[_Generated]: ...


class WhisperModel:
    """The weights in ``folder``: ``config.json``, ``model.bin``, ``tokenizer.json``, ``vocabulary.txt``.

    Raises:
        RuntimeError, ValueError, OSError: they cannot be loaded.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        load = cast(Callable[..., _Runtime], ctranslate2.models.Whisper)
        self._runtime = load(
            str(folder), device="cpu", compute_type="int8", inter_threads=1, intra_threads=threads
        )
        self._tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text(encoding="utf-8"))
        self._end = self._token("<|endoftext|>")
        self._start = self._token("<|startoftranscript|>")
        self._before = self._token("<|startofprev|>")
        self._no_times = self._token("<|notimestamps|>")

    @property
    def is_multilingual(self) -> bool:
        return self._runtime.is_multilingual

    @property
    def bands(self) -> int:
        """Mel bands of the spectrogram that it takes."""
        return self._runtime.n_mels

    def knows_language(self, language: str) -> bool:
        return self._tokenizer.token_to_id(f"<|{language}|>") is not None

    def encode(self, spectrogram: Spectrogram) -> Encoded:
        """Encode ``spectrogram`` ``[bands, frames]``, of at most 3,000 frames."""
        view = cast(Callable[[Spectrogram], object], ctranslate2.StorageView.from_array)
        return self._runtime.encode(view(spectrogram[np.newaxis]))

    def language_of(self, encoded: Encoded) -> str:
        """The likeliest language, as in ``en``."""
        likeliest, _ = self._runtime.detect_language(encoded)[0][0]
        return likeliest.strip("<|>")

    def context_tokens(self, context: str) -> list[int]:
        """The end of ``context``, as far as it is read."""
        text = " ".join(context.split())
        if not text:
            return []
        return self._tokenizer.encode(f" {text}", add_special_tokens=False).ids[-MOST_CONTEXT_TOKENS:]

    def decode(
        self, encoded: Encoded, language: str, context: Sequence[int], most_tokens: int, repeats: bool = True
    ) -> Heard:
        """The words. ``context``: tokens of text before. Without ``repeats`` no three tokens come twice."""
        prompt = [self._before, *context] if context else []
        prompt.append(self._start)
        if self.is_multilingual:
            prompt += [self._token(f"<|{language}|>"), self._token("<|transcribe|>")]
        prompt.append(self._no_times)
        generated = self._runtime.generate(
            encoded,
            [prompt],
            beam_size=BEAMS,
            max_length=min(MAX_POSITIONS, len(prompt) + most_tokens),
            no_repeat_ngram_size=0 if repeats else NO_REPEAT_TOKENS,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = [token for token in generated.sequences_ids[0] if token < self._end]
        return Heard(self._tokenizer.decode(tokens).strip(), generated.scores[0], generated.no_speech_prob)

    def _token(self, name: str) -> int:
        token = self._tokenizer.token_to_id(name)
        if token is None:
            raise ValueError(f"the tokenizer lacks {name}")
        return token
