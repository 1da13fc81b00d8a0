"""The synthesiser around a model that is a stand-in, and files that cannot be used."""

import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.speech.parts import SpeechPartFailed, Synthesiser
from personaplex_ui.speech.synthesis.kokoro import KokoroSynthesiser, load_session
from personaplex_ui.speech.synthesis.kokoro_tokens import MOST_TOKENS
from personaplex_ui.speech.synthesis.voice_choice import ALL_VOICES

SAMPLES_PER_TOKEN = 1_200


class FakeSession:
    """Hums for each token, at a pitch of the style's first number; keeps what it was asked."""

    def __init__(self, token_input: str = "tokens") -> None:
        self.token_input = token_input
        self.asked: list[dict[str, npt.NDArray[Any]]] = []
        self.fault: Exception | None = None
        self.factor = 1.0

    def get_inputs(self) -> Sequence[Any]:
        return [SimpleNamespace(name=name) for name in (self.token_input, "style", "speed")]

    def run(self, output_names: None, input_feed: dict[str, npt.NDArray[Any]]) -> Sequence[Any]:
        if self.fault:
            raise self.fault
        self.asked.append(input_feed)
        length = input_feed[self.token_input].shape[1] * SAMPLES_PER_TOKEN
        pitch_hz = 100.0 + float(input_feed["style"][0, 0])
        sound = 0.3 * np.sin(2 * np.pi * pitch_hz * np.arange(length) / SAMPLE_RATE_HZ)
        return [(sound * self.factor)[np.newaxis].astype(np.float32)]


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    for at, voice in enumerate(ALL_VOICES):
        styles = np.full((510, 256), 10.0 * at, dtype="<f4")
        styles[:, 1] = np.arange(510)
        styles.tofile(tmp_path / f"{voice}.bin")
    return tmp_path


def synthesiser(voices: Path, session: FakeSession) -> KokoroSynthesiser:
    made = KokoroSynthesiser(voices / "model.onnx", voices, [], load=lambda path, threads: session)
    session.asked.clear()
    return made


@pytest.mark.parametrize("token_input", ["tokens", "input_ids"])
def test_a_sentence_is_said_in_the_chosen_voice(voices: Path, token_input: str) -> None:
    session = FakeSession(token_input)
    said: Synthesiser = synthesiser(voices, session)
    sound = said.synthesise("It is $5", "NATM0")
    asked = session.asked[0]
    tokens = asked[token_input][0]
    assert tokens[0] == tokens[-1] == 0
    assert tokens[-2] == 4  # a full stop, though none is written
    assert asked["style"].shape == (1, 256)
    assert asked["style"][0, 0] == 10.0 * ALL_VOICES.index("am_michael")
    assert asked["style"][0, 1] == len(tokens) - 3  # the style for that many tokens, counted from one
    assert asked["speed"].tolist() == [1.0]
    assert sound.dtype == np.float32
    assert rms_dbfs(sound) == pytest.approx(-20.0, abs=0.5)


def test_loading_says_something_so_that_the_first_sentence_is_fast(voices: Path) -> None:
    session = FakeSession()
    KokoroSynthesiser(voices / "model.onnx", voices, [], load=lambda path, threads: session)
    assert len(session.asked) == 1


def test_voices_differ(voices: Path) -> None:
    said = synthesiser(voices, FakeSession())
    one, two = said.synthesise("Hello.", "NATF0"), said.synthesise("Hello.", "NATF1")
    assert one.shape == two.shape
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("text", ["", "   ", "😀", "?!"])
def test_nothing_to_say_is_no_sound(voices: Path, text: str) -> None:
    session = FakeSession()
    said = synthesiser(voices, session).synthesise(text, "NATF0")
    assert said.shape == (0,)
    assert said.dtype == np.float32
    assert not session.asked


def test_a_long_text_is_said_in_pieces(voices: Path) -> None:
    session = FakeSession()
    synthesiser(voices, session).synthesise("One apple, and then another one. " * 60, "NATF0")
    assert len(session.asked) > 2
    assert all(asked["tokens"].shape[1] <= MOST_TOKENS + 2 for asked in session.asked)


def test_a_text_that_is_too_long_is_refused(voices: Path) -> None:
    with pytest.raises(SpeechPartFailed, match=r"4,001 characters is too long.*sentence by sentence"):
        synthesiser(voices, FakeSession()).synthesise("a" * 4_001, "NATF0")


def test_many_threads_get_what_one_gets(voices: Path) -> None:
    said = synthesiser(voices, FakeSession())
    names = [f"NAT{sex}{n}" for sex in "FM" for n in range(4)]
    expected = {name: said.synthesise("Good morning.", name) for name in names}
    fresh = synthesiser(voices, FakeSession())
    found: dict[str, Any] = {}

    def say(name: str) -> None:
        found[name] = fresh.synthesise("Good morning.", name)

    threads = [threading.Thread(target=say, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in names)


def test_a_model_that_fails_is_told_without_paths(voices: Path) -> None:
    session = FakeSession()
    said = synthesiser(voices, session)
    session.fault = RuntimeError("no memory for /home/somebody/model.onnx\nstack")
    with pytest.raises(SpeechPartFailed, match=r"could not say a sentence: no memory for$"):
        said.synthesise("Hello.", "NATF0")


def test_a_model_that_gives_no_numbers(voices: Path) -> None:
    session = FakeSession()
    said = synthesiser(voices, session)
    session.factor = float("nan")
    with pytest.raises(SpeechPartFailed, match="invalid numbers; fetch it again"):
        said.synthesise("Hello.", "NATF0")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "has not 522,240 bytes"),
        (b"\0" * 522_239, "has not 522,240 bytes"),
        (np.full(130_560, np.nan, dtype="<f4").tobytes(), "invalid numbers"),
        (None, "No such file"),
    ],
)
def test_a_voice_that_cannot_be_used(voices: Path, content: bytes | None, told: str) -> None:
    said = synthesiser(voices, FakeSession())
    path = voices / "af_bella.bin"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(SpeechPartFailed, match=f"voice af_bella cannot be used.*{told}") as caught:
        said.synthesise("Hello.", "NATF1")
    assert str(voices) not in str(caught.value)
    assert len(said.synthesise("Hello.", "NATF0")) > 0


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x07" * 1_000, None])
def test_a_model_that_cannot_be_loaded(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "kokoro.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpeechPartFailed, match=r"model kokoro.onnx cannot be loaded") as caught:
        load_session(path, 1)
    assert str(tmp_path) not in str(caught.value)
