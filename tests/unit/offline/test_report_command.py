"""``personaplex-ui offline report``: what it prints and writes, and its sentence for what it cannot take."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.duplex.measure import Stereo
from personaplex_ui.offline.command import main
from tests.support.duplex_talks import Talk, sound_of


def talk() -> Talk:
    """Asked, answered, interrupted; then asked, and cut short after the answer has begun."""
    talk = Talk()
    talk.ask(2.0, 0.5)
    talk.answer(0.6, 3.0)
    talk.interrupt(1.5, 0.4)
    talk.answer(1.0, 2.0)
    return talk


@pytest.fixture
def sound() -> Stereo:
    return sound_of(talk())


def written(folder: Path, name: str, sound: Stereo, rate_hz: int = SAMPLE_RATE_HZ) -> Path:
    soundfile.write(folder / name, sound, rate_hz)
    return folder / name


def run(*arguments: object) -> int:
    return main(["report", *map(str, arguments)])


def test_it_prints_every_figure(tmp_path: Path, sound: Stereo, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "call.wav", sound)
    assert run(path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{path} (0:12)"
    told = {line[:20].strip(): line[20:].strip() for line in lines[1:]}
    assert list(told) == [
        "Response gap",
        "Stop latency",
        "Overlaps",
        "Dead air over 2 s",
        "Pause take-overs",
        "Talk-overs",
        "Backchannels",
        "Talk share",
        "Self-echo",
    ]
    assert told["Response gap"].endswith("of 2 answers")
    assert told["Stop latency"].endswith("of 1 interruption")
    assert (told["Dead air over 2 s"], told["Self-echo"], told["Backchannels"]) == ("none", "none", "0")


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_other_sample_rates_give_the_same(tmp_path: Path, rate_hz: int) -> None:
    """The truth is the same at every rate; a tone of voice survives 8 kHz."""
    whole = sound_of(talk())
    times = np.arange(round(len(whole) * rate_hz / SAMPLE_RATE_HZ)) * SAMPLE_RATE_HZ / rate_hz
    at = np.arange(len(whole))
    sound = np.stack([np.interp(times, at, whole[:, side]) for side in (0, 1)], axis=1)
    out = tmp_path / "out.json"
    assert run(written(tmp_path, "call.flac", sound.astype(np.float32), rate_hz), "--json", out) == 0
    (told,) = json.loads(out.read_text())
    assert told["response_gaps"]["all_sec"] == [pytest.approx(x, abs=0.04) for x in (0.6, 1.0)]
    assert told["stop_latency"]["all_sec"] == [pytest.approx(0.4, abs=0.04)]


def test_several_recordings_of_which_some_are_none(
    tmp_path: Path, sound: Stereo, capsys: pytest.CaptureFixture[str]
) -> None:
    good = written(tmp_path, "good.wav", sound)
    (tmp_path / "junk.wav").write_bytes(b"RIFF" + b"junk" * 100)
    (tmp_path / "sound.raw").write_bytes(b"\0" * 1_000)
    bad = {
        written(tmp_path, "mono.wav", sound[:, :1]): "one channel, and two are needed",
        written(tmp_path, "three.wav", np.hstack([sound, sound[:, :1]])): "has 3 channels",
        written(tmp_path, "empty.wav", sound[:0]): "is empty",
        written(tmp_path, "slow.wav", sound[:1_000], 1_000): "sample rate of 1000 Hz",
        tmp_path / "junk.wav": "cannot be read as audio",
        tmp_path / "sound.raw": "cannot be read as audio",
        tmp_path / "nothing.wav": "There is no such file",
        tmp_path: "There is no input.wav in ",
    }
    out = tmp_path / "out.json"
    assert run(*bad, good, "--json", out) == 1
    told = capsys.readouterr()
    sentences = told.err.splitlines()
    assert len(sentences) == len(bad)
    for sentence, (path, words) in zip(sentences, bad.items(), strict=True):
        assert sentence.startswith(f"{path}: ")
        assert words in sentence
    assert [each["file"] for each in json.loads(out.read_text())] == [str(good)]
    assert told.out.startswith(str(good))


def test_a_transcript_tells_an_end_from_a_stop(tmp_path: Path, sound: Stereo) -> None:
    path, words, out = written(tmp_path, "call.wav", sound), tmp_path / "words.json", tmp_path / "out.json"
    said = {"start_sec": 3.1, "end_sec": 6.4, "text": "We open at eight.", "speaker": "assistant"}
    words.write_text(json.dumps([said]))
    assert run(path, "--transcript", words, "--json", out) == 0
    assert json.loads(out.read_text())[0]["stop_latency"]["count"] == 0


def test_what_is_wrong_with_a_transcript_or_the_output(
    tmp_path: Path, sound: Stereo, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "call.wav", sound[:24_000])
    os.mkfifo(tmp_path / "pipe")
    assert run(path, "--transcript", path) == 1
    assert run(path, "--transcript", tmp_path / "no.json") == 1
    assert run(path, "--transcript", tmp_path / "pipe") == 1
    assert run(tmp_path / "pipe") == 1
    assert run(path, "--json", tmp_path / "no" / "out.json") == 1
    sentences = capsys.readouterr().err.splitlines()
    assert sentences[0].startswith(f"{path}: {path}: It is not a transcript. Give ")
    assert "cannot be read (No such file or directory)" in sentences[1]
    assert "pipe cannot be read (It is not a file)" in sentences[2]
    assert "pipe: This file cannot be read as audio" in sentences[3]
    assert "cannot be written (No such file or directory)" in sentences[4]
    with pytest.raises(SystemExit, match="2"):
        run(path, path, "--transcript", path)
    assert "once for each recording, in the same order: 1 and 2" in capsys.readouterr().err


def test_a_case_of_full_duplex_bench(tmp_path: Path, sound: Stereo) -> None:
    """Two files of one side each, of other rates and lengths, and the words beside them."""
    case, out = tmp_path / "1", tmp_path / "out.json"
    case.mkdir()
    written(case, "input.wav", sound[:, 0])
    written(case, "output.wav", np.repeat(sound[:-12_000, 1], 2), 2 * SAMPLE_RATE_HZ)
    assert run(case, "--json", out) == 0
    (told,) = json.loads(out.read_text())
    assert told["duration_sec"] == pytest.approx(len(sound) / SAMPLE_RATE_HZ, abs=0.01)
    assert told["response_gaps"]["all_sec"] == [pytest.approx(x, abs=0.04) for x in (0.6, 1.0)]
    assert told["stop_latency"]["count"] == 1
    chunks = [{"text": "eight.", "timestamp": [5.8, 6.4]}]
    (case / "output.json").write_text(json.dumps({"text": "eight.", "chunks": chunks}))
    assert run(case, "--json", out) == 0
    assert json.loads(out.read_text())[0]["stop_latency"]["count"] == 0


def test_the_layout_of_the_benchmark_is_searched(
    tmp_path: Path, sound: Stereo, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data sets in versions, and recordings in data sets; what is not answered yet is told."""
    version = tmp_path / "data" / "v1_5"
    cases = [version / "background_speech" / name for name in ("2", "10", "11")]
    for case in cases:
        case.mkdir(parents=True)
        for name in ("input.wav", "clean_input.wav") if case.name == "10" else ("input.wav",):
            written(case, name, sound[:48_000, 0])
            if case.name != "11":
                written(case, name.replace("input", "output"), sound[:48_000, 1])
    out = tmp_path / "out.json"
    assert run(version, "--json", out) == 1
    names = [str(cases[0]), f"{cases[1] / 'clean_input.wav'}", str(cases[1])]
    assert [each["file"] for each in json.loads(out.read_text())] == names
    assert capsys.readouterr().err == (
        f"{cases[2] / 'input.wav'}: There is no output.wav beside it. Answer it with personaplex-ui offline "
        "folder, or copy one there.\n"
    )
    words = tmp_path / "words.json"
    words.write_text("[]")
    assert run(version, "--transcript", words) == 1
    assert "A transcript is for one recording, and this folder has 4." in capsys.readouterr().err
    assert run(cases[0], "--transcript", words) == 0
