"""Kokoro (82 million parameters, Apache-2.0) on ONNX Runtime: speech on a CPU, several times faster than it
is spoken.

Knows files and threads; what is said and how is decided in ``spoken_text`` and ``pronunciation``. Both
exports in use fit: kokoro-onnx's (input ``tokens``) and onnx-community's (``input_ids``).
"""

import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import Samples
from personaplex_ui.errors import why_of
from personaplex_ui.speech.parts import SpeechPartFailed
from personaplex_ui.speech.synthesis.kokoro_tokens import cut_to_fit, tokens_of
from personaplex_ui.speech.synthesis.levelling import levelled, silence
from personaplex_ui.speech.synthesis.lexicon import Lexicon
from personaplex_ui.speech.synthesis.pronunciation import Pronunciation
from personaplex_ui.speech.synthesis.spoken_text import spoken
from personaplex_ui.speech.synthesis.voice_choice import kokoro_voice

MODEL = "kokoro-v1.0.int8.onnx"
LEXICONS = ("us_gold.json", "us_silver.json")
"""misaki's: the first checked by people, the second not."""

MOST_CHARACTERS = 4_000
STYLES, STYLE_SIZE = 510, 256
"""A voice has a style vector for each number of tokens."""

PAUSE_SEC = 0.15
"""Between pieces of a text that is too long for one run."""

Styles = npt.NDArray[np.float32]


class Session(Protocol):
    """What is used of ``onnxruntime.InferenceSession``."""

    def get_inputs(self) -> Sequence[Any]: ...

    def run(self, output_names: None, input_feed: dict[str, npt.NDArray[Any]]) -> Sequence[Any]: ...


class KokoroSynthesiser:
    """A ``Synthesiser`` that many threads may use at once; each call computes on ``threads`` cores.

    Loading takes a second or two and says one word, so that the first sentence is as fast as all others.

    Raises:
        SpeechPartFailed: the model, the voices or the lexicon cannot be used.
    """

    def __init__(
        self,
        model: Path,
        voices: Path,
        lexicons: Sequence[Path],
        threads: int = 1,
        load: Callable[[Path, int], Session] | None = None,
    ) -> None:
        """``model``: the ONNX file. ``voices``: the folder of ``af_heart.bin`` and others. ``lexicons``: the
        best first; without any, all words are read by rules. ``load``: for tests."""
        self._voices_folder = voices
        self._pronunciation = Pronunciation(Lexicon.read(lexicons))
        self._session = (load or load_session)(model, threads)
        self._token_input = str(self._session.get_inputs()[0].name)
        self._voices: dict[str, Styles] = {}
        self._lock = threading.Lock()
        self.synthesise("Hello.", "NATF0")

    @classmethod
    def in_folder(cls, folder: Path, threads: int = 1) -> "KokoroSynthesiser":
        """From ``folder`` with the files that the weights' manifest has for it, all beside each other."""
        return cls(folder / MODEL, folder, [folder / name for name in LEXICONS], threads)

    def synthesise(self, text: str, voice: str) -> Samples:
        """See ``Synthesiser``; empty where ``text`` has nothing to say.

        Raises:
            SpeechPartFailed: the text is too long, the voice's file cannot be used, or the model failed.
        """
        if len(text) > MOST_CHARACTERS:
            raise SpeechPartFailed(
                f"A text of {len(text):,} characters is too long to be said at once; "
                f"{MOST_CHARACTERS:,} are the most. Say it sentence by sentence."
            )
        styles = self._styles_of(kokoro_voice(voice))
        phonemes = self._pronunciation.phonemes(spoken(text))
        parts: list[Samples] = []
        for piece in cut_to_fit(_ended(phonemes)):
            parts += [silence(PAUSE_SEC)] if parts else []
            parts.append(levelled(self._say(tokens_of(piece), styles)))
        return np.concatenate(parts) if parts else silence(0)

    def _say(self, tokens: list[int], styles: Styles) -> Samples:
        inputs: dict[str, npt.NDArray[Any]] = {
            self._token_input: np.array([[0, *tokens, 0]], dtype=np.int64),
            "style": styles[len(tokens) - 1][np.newaxis],
            "speed": np.ones(1, dtype=np.float32),
        }
        try:
            said = np.asarray(self._session.run(None, inputs)[0], dtype=np.float32).reshape(-1)
        except Exception as error:  # ONNX Runtime raises many kinds, some without a common base
            raise SpeechPartFailed(f"The voice could not say a sentence: {_first_line(error)}") from error
        if not np.isfinite(said).all():
            raise SpeechPartFailed("The voice's model gave no sound but invalid numbers; fetch it again.")
        return said

    def _styles_of(self, voice: str) -> Styles:
        with self._lock:
            if voice not in self._voices:
                self._voices[voice] = _read_styles(self._voices_folder / f"{voice}.bin")
            return self._voices[voice]


def _ended(phonemes: str) -> str:
    """With a full stop where nothing ends the sentence, or the voice stays up in the air."""
    return f"{phonemes}." if phonemes and phonemes[-1] not in ".!?…" else phonemes


def _read_styles(path: Path) -> Styles:
    expected = STYLES * STYLE_SIZE * 4
    try:
        if path.stat().st_size != expected:
            raise ValueError(f"it has not {expected:,} bytes")
        styles = np.fromfile(path, dtype="<f4").reshape(STYLES, STYLE_SIZE).astype(np.float32)
        if not np.isfinite(styles).all():
            raise ValueError("it holds invalid numbers")
    except (OSError, ValueError) as error:
        raise SpeechPartFailed(
            f"The voice {path.stem} cannot be used: {why_of(error)}. Delete its file, and it is "
            "fetched again."
        ) from error
    return styles


def load_session(model: Path, threads: int) -> Session:
    """Raises SpeechPartFailed."""
    try:
        # Takes a third of a second, which an app with another engine need not spend.
        runtime = cast(Any, import_module("onnxruntime"))
    except ImportError as error:
        raise SpeechPartFailed(
            "Speech needs the package onnxruntime; install the packages of requirements.txt."
        ) from error
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads take the cores from the frames of live calls.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return cast(
            Session, runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        )
    except Exception as error:  # as above
        raise SpeechPartFailed(
            f"The voice's model {model.name} cannot be loaded: {_first_line(error)}. Delete it, and it is "
            "fetched again."
        ) from error


def _first_line(error: Exception) -> str:
    """Without paths, which are nobody's business."""
    words = (str(error).strip() or type(error).__name__).splitlines()[0].split()
    return " ".join(word for word in words if "/" not in word and "\\" not in word)[:200]
