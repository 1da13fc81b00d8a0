"""What a cascade is made of: servers where they are named, else parts of this machine, and what stands in."""

from pathlib import Path

import pytest

from personaplex_ui.models.cascade.load import load_cascade, load_parts
from personaplex_ui.speech.loading import Endpoint, Sources, SpeechParts
from personaplex_ui.speech.parts import Recogniser, SpeechPartFailed
from personaplex_ui.speech.recognition.http import HttpRecogniser
from personaplex_ui.speech.replies.fallback import FallbackReplier
from personaplex_ui.speech.synthesis import flite
from personaplex_ui.speech.synthesis.http import HttpSynthesiser
from personaplex_ui.speech.weights.errors import WeightsMissing

SERVER = Endpoint("http://127.0.0.1:9/v1", "sk-hunter2", "a-model", "a-voice")
NOWHERE = Path(__file__) / "weights"
"""Below a file there can be no folder, so nothing is fetched."""


def silent(sentence: str, progress: float) -> None:
    """Nobody is told."""


def test_servers_take_the_places_of_all_parts_and_their_jobs_only_wait():
    parts, made_of = load_parts(SpeechParts(Sources(4, NOWHERE, SERVER, SERVER, SERVER)), silent)
    assert isinstance(parts.recogniser, HttpRecogniser)
    assert isinstance(parts.replier, FallbackReplier)
    assert isinstance(parts.synthesiser, HttpSynthesiser)
    assert not any(map(parts.computes, (parts.recogniser, parts.replier, parts.synthesiser)))
    [reason] = made_of.reasons
    assert reason.count("a-model on a server") == 3
    assert "hunter2" not in repr(made_of)


class SmallVoice:
    """Stands for flite, where it is installed."""


class NotInstalled:
    def __init__(self) -> None:
        raise SpeechPartFailed("The program flite is not installed.")


@pytest.mark.parametrize("missing", ["stt", "tts"])
def test_without_weights_there_is_a_sentence(missing: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flite, "FliteSynthesiser", NotInstalled)
    stt, tts = (None if missing == part else SERVER for part in ("stt", "tts"))
    with pytest.raises(WeightsMissing, match=r"Weights cannot be written to .* Make it a folder"):
        load_cascade(SpeechParts(Sources(4, NOWHERE, stt=stt, tts=tts)), 4, silent)


def test_where_kokoro_cannot_be_had_another_voice_speaks_and_that_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flite, "FliteSynthesiser", SmallVoice)
    model = load_cascade(SpeechParts(Sources(2, NOWHERE, stt=SERVER)), 2, silent)
    assert model.runtime_report is not None
    [warning] = model.runtime_report.warnings
    assert warning.startswith("It speaks with the robotic voice of flite, since that of Kokoro cannot be had")
    assert "said by flite" in model.runtime_report.reasons[0]


def test_a_key_that_cannot_be_sent_is_refused_and_not_shown():
    with pytest.raises(SpeechPartFailed) as refused:
        load_parts(
            SpeechParts(Sources(4, NOWHERE, stt=Endpoint("http://127.0.0.1:9/v1", "sk hunter2", "a"))), silent
        )
    assert "hunter2" not in str(refused.value)


def test_local_parts_share_the_cores_with_each_other_only(monkeypatch: pytest.MonkeyPatch):
    parts, _ = load_parts(SpeechParts(Sources(4, NOWHERE, SERVER, None, SERVER)), silent)
    recogniser: Recogniser = parts.recogniser
    assert parts.computes(parts.replier)
    assert not parts.computes(recogniser)
