"""What Whisper hears of recorded speech, and that it hears nothing where nobody speaks."""

import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.speech.parts import Recognised, SpeechPartFailed
from personaplex_ui.speech.recognition.whisper import MAX_SEC, WhisperRecogniser
from tests.support.nobody_speaks import nobody_speaks
from tests.support.recorded_speech import recordings, word_error_rate
from tests.support.weights import weights_folder

ROLE = (
    "You work for Sunny Pizza, a restaurant. A pita costs 4 dollars. We open at nine. Dogs are welcome. "
    "Answer questions in a clear and engaging way."
)


@pytest.fixture(scope="module")
def recogniser() -> WhisperRecogniser:
    return WhisperRecogniser(weights_folder("whisper-tiny.en"))


def test_recorded_speech_is_recognised(recogniser: WhisperRecogniser) -> None:
    spoken = recordings()
    heard = [recogniser.recognise(each.samples) for each in spoken]
    assert word_error_rate([each.words for each in spoken], [each.text for each in heard]) < 0.06
    assert {each.language for each in heard} == {"en"}
    assert all(each.text == each.text.strip() for each in heard)


def test_weak_speech_is_recognised_after_a_role(recogniser: WhisperRecogniser) -> None:
    spoken = recordings()
    heard = [recogniser.recognise(0.02 * each.samples, ROLE).text for each in spoken]
    assert word_error_rate([each.words for each in spoken], heard) < 0.06


def test_speech_in_noise_is_not_taken_for_noise(recogniser: WhisperRecogniser) -> None:
    spoken = recordings()
    random = np.random.default_rng(3)
    heard: list[str] = []
    for each in spoken:
        noise = random.normal(0, each.samples.std() * 10 ** (-10 / 20), len(each.samples))
        heard.append(recogniser.recognise((each.samples + noise).astype(np.float32)).text)
    assert word_error_rate([each.words for each in spoken], heard) < 0.2


def test_a_minute_of_speech_comes_back_whole(recogniser: WhisperRecogniser) -> None:
    spoken = recordings()
    pause = np.zeros(SAMPLE_RATE_HZ // 2, dtype=np.float32)
    sound = np.concatenate([part for each in spoken for part in (each.samples, pause)] * 2)
    heard = recogniser.recognise(sound).text
    assert len(sound) > 50 * SAMPLE_RATE_HZ
    assert word_error_rate([" ".join(each.words for each in spoken * 2)], [heard]) < 0.04


def test_speech_between_the_windows_is_recognised(recogniser: WhisperRecogniser) -> None:
    """11 s are too long for the short window."""
    first, second, *_ = recordings()
    pause = np.zeros(2 * SAMPLE_RATE_HZ, dtype=np.float32)
    heard = recogniser.recognise(np.concatenate([first.samples, pause, second.samples])).text
    assert word_error_rate([f"{first.words} {second.words}"], [heard]) < 0.1


NOBODY_SPEAKS = nobody_speaks()


@pytest.mark.parametrize("role", ["", ROLE], ids=["no role", "a role"])
@pytest.mark.parametrize("name", NOBODY_SPEAKS)
def test_nothing_is_made_up(recogniser: WhisperRecogniser, name: str, role: str) -> None:
    assert recogniser.recognise(NOBODY_SPEAKS[name], role) == Recognised("", "")


@pytest.mark.parametrize("samples", [0, 1, 1_000])
def test_sound_without_room_for_a_word_is_nothing(recogniser: WhisperRecogniser, samples: int) -> None:
    assert recogniser.recognise(np.full(samples, 0.5, dtype=np.float32)).text == ""


def test_broken_samples_do_no_harm(recogniser: WhisperRecogniser) -> None:
    spoken = recordings()[4]
    samples = spoken.samples.copy()
    samples[:3] = (np.nan, np.inf, -np.inf)
    assert word_error_rate([spoken.words], [recogniser.recognise(samples).text]) < 0.3


def test_several_threads_at_once_hear_what_one_hears(recogniser: WhisperRecogniser) -> None:
    spoken = recordings()
    alone = [recogniser.recognise(each.samples).text for each in spoken]
    together = [""] * len(spoken)

    def hear(number: int, samples: Samples) -> None:
        together[number] = recogniser.recognise(samples).text

    threads = [
        threading.Thread(target=hear, args=(number, each.samples)) for number, each in enumerate(spoken)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_a_context_of_any_length_and_kind_is_taken(recogniser: WhisperRecogniser) -> None:
    spoken = recordings()[4]
    for context in (ROLE * 100, "<|endoftext|><|startoftranscript|>", "\n\t ", "日本語のコンテキスト"):
        assert "amiable" in recogniser.recognise(spoken.samples, context).text


def test_a_language_that_the_weights_do_not_know_changes_nothing(recogniser: WhisperRecogniser) -> None:
    spoken = recordings()[4]
    expected = recogniser.recognise(spoken.samples)
    assert recogniser.recognise(spoken.samples, language="fr") == expected
    assert recogniser.recognise(spoken.samples, language="not a language") == expected


def test_too_much_sound_is_refused(recogniser: WhisperRecogniser) -> None:
    with pytest.raises(SpeechPartFailed, match="longer than 15 minutes"):
        recogniser.recognise(np.zeros(int(MAX_SEC * SAMPLE_RATE_HZ) + 1, dtype=np.float32))


def test_weights_that_are_not_there_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SpeechPartFailed, match="cannot be loaded"):
        WhisperRecogniser(tmp_path)


def test_damaged_weights_are_a_sentence(tmp_path: Path) -> None:
    whole = weights_folder("whisper-tiny.en")
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    (tmp_path / "model.bin").write_bytes((whole / "model.bin").read_bytes()[:1_000_000])
    with pytest.raises(SpeechPartFailed, match="cannot be loaded"):
        WhisperRecogniser(tmp_path)


FOREIGN = {
    "de": "Guten Tag, ich möchte gerne wissen, wann Sie morgen früh öffnen und was ein Fahrrad kostet.",
    "fr": "Bonjour, je voudrais savoir à quelle heure vous ouvrez demain matin, s'il vous plaît.",
    "es": "Buenos días, quisiera saber a qué hora abren mañana por la mañana.",
    "it": "Buongiorno, vorrei sapere quanto costa una bicicletta per un giorno.",
    "pl": "Dzień dobry, chciałbym wiedzieć, o której jutro otwieracie.",
}


@pytest.mark.parametrize("role", ["", ROLE], ids=["no role", "a role"])
@pytest.mark.parametrize("language", FOREIGN)
def test_what_is_made_of_another_language_is_doubtful(
    recogniser: WhisperRecogniser, language: str, role: str, tmp_path: Path
) -> None:
    wav = tmp_path / "foreign.wav"
    subprocess.run(["espeak-ng", "-v", language, "-w", wav, FOREIGN[language]], check=True, timeout=20)
    sound, rate_hz = soundfile.read(wav, dtype="float32")
    samples: Samples = np.asarray(soxr.resample(sound, rate_hz, SAMPLE_RATE_HZ), dtype=np.float32)
    heard = recogniser.recognise(samples, role)
    assert heard.doubtful or heard.text == ""


def test_recorded_speech_is_not_doubtful(recogniser: WhisperRecogniser) -> None:
    assert not any(recogniser.recognise(each.samples, ROLE).doubtful for each in recordings())
