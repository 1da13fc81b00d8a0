"""The cascade's bench runs and says what it promises; how fast this machine is, is no matter of tests."""

import json

import numpy as np
import pytest

from benchmarks import cascade
from benchmarks.__main__ import main
from benchmarks.cascade_parts import TimedParts
from benchmarks.cascade_report import CascadeReport, PartSpeed, Turns
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.engine.reports import RuntimeReport
from personaplex_ui.models.cascade.parts import Parts
from personaplex_ui.speech.parts import Turn
from tests.support.sounds import tone
from tests.support.speech_parts import Humming, Listed, Scripted, says

PARTS = Parts(Listed(), Scripted("Hello."), Humming())


class TwoVoices(Humming):
    """A caller of the bench "says" ``asked``, whatever it is asked to say."""

    asked: Samples = says(300)

    def synthesise(self, text: str, voice: str) -> Samples:
        return self.asked if voice == cascade.ASKED_BY else tone(0.4)


@pytest.fixture
def voice(monkeypatch: pytest.MonkeyPatch) -> TwoVoices:
    voice = TwoVoices()

    def load_parts(source: object, report: object) -> tuple[Parts, RuntimeReport]:
        return Parts(Listed(), Scripted(), voice), RuntimeReport(reasons=("Doubles.",))

    monkeypatch.setattr(cascade, "load_parts", load_parts)
    monkeypatch.setattr(cascade, "APART_SEC", 0.05)
    return voice


@pytest.mark.usefixtures("voice")
def test_the_cascade_bench_measures_one_and_four_calls(capsys: pytest.CaptureFixture[str]):
    main(["cascade", "--seconds", "5", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["made_of"] == "Doubles."
    assert [turns["calls"] for turns in report["turns"]] == [1, 4]
    for turns in report["turns"]:
        assert turns["turns"] >= turns["calls"]
        assert turns["latency_p50_ms"] <= turns["latency_p95_ms"]
    assert [part["part"] for part in report["parts"]] == [
        f"{part}, {calls} calls"
        for calls in (1, 4)
        for part in ("recognition", "first sentence", "synthesis")
    ]
    assert all(part["runs"] > 0 for part in report["parts"])


def test_callers_who_get_no_answer_are_no_measurement(voice: TwoVoices):
    voice.asked = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
    with pytest.raises(SystemExit, match="No question was answered"):
        main(["cascade", "--seconds", "5"])


def test_parts_are_timed_by_the_length_of_their_sound():
    timed = TimedParts(PARTS)
    timed.recognise(says(300))
    assert list(timed.reply("", (Turn("caller", "What do you sell?"),))) == ["You said: What do you sell?"]
    timed.synthesise("one two three", "NATF2")
    assert timed.recognition.sound_sec == [1.2]
    assert timed.replies.sound_sec == [0.0]
    assert timed.synthesis.sound_sec == pytest.approx([0.48])
    assert timed.measured.remote == ()
    assert timed.greet("") == "Hello."


def test_the_table_names_every_figure():
    turns = Turns(4, 23, 1, 159.0, 3_271.0, 15.0, 0, 2)
    table = CascadeReport(
        "Doubles.", 30.0, (turns,), (PartSpeed("synthesis, 4 calls", 3, 3_224.0, 1.92),)
    ).to_table()
    assert "latency p50 ms" in table
    assert "3,271" in table
    assert "1.92" in table


def test_what_is_not_heard_is_cut_off_a_question():
    quiet = np.zeros(1_000, dtype=np.float32)
    assert len(cascade.trimmed(np.concatenate([quiet, says(300), quiet]))) == pytest.approx(
        1.2 * 24_000, abs=50
    )
    assert len(cascade.trimmed(quiet)) == 1_000
