"""The soak says what it has seen; how fast this machine is, is no matter of tests."""

import argparse
import contextlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.__main__ import main
from benchmarks.soak import command
from benchmarks.soak.alone import delay_alone
from benchmarks.soak.findings import Verdict, memory_of
from benchmarks.soak.listening import ANSWER_WITHIN_SEC, Listening
from benchmarks.soak.observed import (
    Answer,
    Clip,
    Hostile,
    LiveCall,
    Observed,
    OwnLoad,
    Usage,
    slope,
)
from benchmarks.soak.server_process import VOICE
from benchmarks.soak.soak_report import SoakReport, report_on
from benchmarks.soak.speaking import PERIOD_SEC, UTTERANCE_SEC, Speaker
from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.snapshot import CallStats, Transport

RATE_HZ = 8_000
PACKET_SEC = 0.02
PACKET_SAMPLES = 160
QUIET: Samples = np.zeros(PACKET_SAMPLES, dtype=np.float32)


# Speaking -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate_hz", "packet_sec"), [(8_000, 0.02), (24_000, 0.04), (48_000, 0.02)])
def test_a_speaker_tells_when_its_last_loud_sample_was_spoken(rate_hz: int, packet_sec: float):
    speaker = Speaker(rate_hz, packet_sec, seed=3)
    speaker.talk()
    packets = [speaker.next_packet() for _ in range(round(12 / packet_sec))]
    loud_sec = np.flatnonzero(np.abs(np.concatenate([p.samples for p in packets])) > 0.02) / rate_hz
    ends_sec = [
        (number + 1) * packet_sec - packet.quiet_since_sec
        for number, packet in enumerate(packets)
        if packet.quiet_since_sec is not None
    ]
    assert len(ends_sec) >= 3
    assert all(PERIOD_SEC <= later - end < PERIOD_SEC + 0.5 for end, later in itertools.pairwise(ends_sec))
    for end_sec in ends_sec:
        spoken = loud_sec[(loud_sec > end_sec - 1.5) & (loud_sec < end_sec + 1.5)]
        assert end_sec - spoken[-1] == pytest.approx(1 / rate_hz, abs=1e-6)
        assert end_sec - spoken[0] == pytest.approx(UTTERANCE_SEC, abs=0.001)


def test_a_speaker_is_quiet_unless_it_is_to_talk():
    speaker = Speaker(RATE_HZ, PACKET_SEC, seed=1)
    before = [speaker.next_packet() for _ in range(200)]
    speaker.talk()
    talking = [speaker.next_packet() for _ in range(400)]
    speaker.fall_silent()
    after = [speaker.next_packet() for _ in range(400)][round(UTTERANCE_SEC / PACKET_SEC) :]
    assert any(np.max(np.abs(packet.samples)) > 0.1 for packet in talking)
    for packet in [*before, *after]:
        assert 0.0 < np.max(np.abs(packet.samples)) < 0.01
        assert packet.quiet_since_sec is None


# Listening ----------------------------------------------------------------------------------------


def hear(listening: Listening, packets: Sequence[Samples], arrive_at: Sequence[float]) -> None:
    for packet, arrives_at in zip(packets, arrive_at, strict=True):
        listening.hear(arrives_at, packet, RATE_HZ)


def with_answer(packets: int, answer_from_sample: int) -> list[Samples]:
    sound = np.zeros(packets * PACKET_SAMPLES, dtype=np.float32)
    sound[answer_from_sample:] = 0.2
    return list(sound.reshape(packets, PACKET_SAMPLES))


def on_time(packets: int) -> list[float]:
    return [100.0 + PACKET_SEC * number for number in range(packets)]


def test_an_answer_is_heard_where_its_first_loud_sample_is_played():
    listening = Listening()
    listening.expect(sent_at=100.005)
    hear(listening, with_answer(100, 45 * PACKET_SAMPLES + 40), on_time(100))
    (answer,) = listening.answers
    assert answer.at_sec == pytest.approx(100.9 + 0.005)
    assert answer.delay_sec == pytest.approx(0.9)
    assert listening.lost_answers == 0
    assert listening.longest_gap_sec == pytest.approx(PACKET_SEC)
    assert listening.missing_sec == pytest.approx(0.0, abs=1e-6)


def late(sec: float, *packets: int) -> list[float]:
    """When 100 packets come, of which ``packets`` are late."""
    return [at + (sec if number in packets else 0.0) for number, at in enumerate(on_time(100))]


@pytest.mark.parametrize(
    ("arrive_at", "answer_packet", "delay_sec"),
    [
        ([at - (number % 4) * PACKET_SEC for number, at in enumerate(on_time(100))], 47, 0.94),
        (late(0.1, 44), 45, 1.0),
        (late(0.1, 40), 45, 1.0),
        (on_time(100), 45, 0.9),
        (late(0.2, *range(10, 100)), 45, 1.1),
    ],
    ids=["four come together", "a stall", "a stall a player remembers", "on time", "late from now on"],
)
def test_an_answer_is_as_late_as_a_player_plays_it(
    arrive_at: list[float], answer_packet: int, delay_sec: float
):
    listening = Listening()
    listening.expect(sent_at=100.0)
    hear(listening, with_answer(100, answer_packet * PACKET_SAMPLES), arrive_at)
    assert listening.answers[0].delay_sec == pytest.approx(delay_sec)


@pytest.mark.parametrize(
    ("arrive_at", "missing_sec", "gap_sec"),
    [
        (late(0.2, *range(10, 100)), 0.2, 0.22),
        ([100.0 + 0.019 * number for number in range(100)], -0.099, 0.019),
    ],
    ids=["late from now on", "faster than time"],
)
def test_missing_sound_and_gaps_are_told(arrive_at: list[float], missing_sec: float, gap_sec: float):
    listening = Listening()
    hear(listening, [QUIET] * 100, arrive_at)
    assert listening.missing_sec == pytest.approx(missing_sec)
    assert listening.longest_gap_sec == pytest.approx(gap_sec)


def test_what_is_loud_too_soon_is_no_answer_and_what_never_comes_is_lost():
    listening = Listening()
    listening.expect(sent_at=100.0)
    packets = [QUIET] * 150
    packets[:20] = [QUIET + 0.2] * 20
    hear(listening, packets, on_time(150))
    assert listening.answers == []
    assert listening.lost_answers == 1
    listening.expect(sent_at=103.0)
    listening.expect(sent_at=106.0)
    assert listening.lost_answers == 2
    listening.give_up()
    assert listening.lost_answers == 3
    assert ANSWER_WITHIN_SEC < PERIOD_SEC


def test_a_stream_that_stops_has_a_gap_until_the_end():
    listening = Listening()
    hear(listening, [QUIET] * 50, on_time(50))
    listening.end(now=103.0)
    assert listening.longest_gap_sec == pytest.approx(103.0 - 100.98)


@settings(max_examples=20)
@given(st.integers(0, 1_919))
def test_the_echo_takes_equally_long_wherever_a_frame_begins(skipped_samples: int):
    assert delay_alone(VOICE, skipped_samples) == pytest.approx(0.8, abs=0.001)


# Findings -----------------------------------------------------------------------------------------

SECONDS = 600.0


def call(
    kind: Transport = Transport.BROWSER, added_sec: float = 0.1, last_added_sec: float = 0.1
) -> LiveCall:
    answers = [Answer(float(at), last_added_sec if at > 300 else added_sec) for at in range(2, 600, 3)]
    return LiveCall(kind, answers, 0, 0.04, 0.01)


def usages(mb_per_hour: float = 0.0, dropped: int = 0) -> list[Usage]:
    return [
        Usage(float(at), round((200 + mb_per_hour * at / 3_600) * 2**20), at * 0.25, 3 + dropped * (at > 300))
        for at in range(0, 601, 5)
    ]


OBSERVED = Observed(
    seconds=SECONDS,
    seed=1,
    alone_sec=0.8,
    calls=[
        call(),
        replace(call(Transport.MOSHI, 0.03, 0.03), stats=[CallStats(1, 0, 0), CallStats(1, 0, 1)]),
        call(Transport.TWILIO, 0.05, 0.05),
    ],
    clip_callers=1,
    clips=[Clip(3.0, 0.5, 10.0), Clip(6.0, 1.0, 10.0), Clip(9.0, 0.25, 10.0)],
    clip_failures=[],
    usages=usages(),
    exceptions=0,
    own_load=OwnLoad(12.5, 1.5, 20.0),
)


def verdict(observed: Observed, question: str) -> Verdict:
    return next(v for v in report_on(observed).verdicts if v.question == question)


@pytest.mark.parametrize("question", ["no drop", "no growth in lag", "no growth in memory"])
def test_a_good_soak_is_called_good(question: str):
    assert verdict(OBSERVED, question).answer == "yes"


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"usages": usages(dropped=2)}, "2 frames dropped"),
        ({"clip_failures": ["refused"]}, "1 clips failed"),
        ({"exceptions": 3}, "3 exceptions"),
        ({"calls": [replace(call(), lost_answers=4)]}, "4 answers lost"),
        ({"calls": [replace(call(), ended="The server ended it.")]}, "1 calls ended early"),
        ({"calls": [replace(call(), missing_sec=0.5)]}, "1 calls missed sound"),
    ],
)
def test_a_drop_is_told(change: dict[str, object], because: str):
    found = verdict(replace(OBSERVED, **change), "no drop")
    assert found.answer == "no"
    assert because in found.because


def test_dropped_frames_are_taken_from_the_calls_that_are_told_where_the_server_does_not_count():
    told = replace(call(Transport.MOSHI), stats=[CallStats(1, 0, 0), CallStats(3, 1, 0)])
    silent = [replace(usage, dropped_frames=None) for usage in usages()]
    assert report_on(replace(OBSERVED, calls=[told], usages=silent)).drops.dropped_frames == 3


@pytest.mark.parametrize(
    ("calls", "answer"),
    [
        ([call(added_sec=0.1, last_added_sec=0.119)], "yes"),
        ([call(added_sec=0.1, last_added_sec=0.121)], "no"),
        ([call(added_sec=0.1, last_added_sec=0.05)], "yes"),
        ([replace(call(), missing_sec=-0.5)], "no"),
        ([replace(call(), stats=[CallStats(0, 0, 0)] * 5 + [CallStats(0, 0, 4)] * 5)], "no"),
        ([replace(call(), answers=call().answers[:10])], "too short to say"),
        ([replace(call(), answers=[])], "too short to say"),
        ([replace(call(), answers=[], missing_sec=-0.5)], "no"),
    ],
)
def test_growth_in_lag_is_told(calls: list[LiveCall], answer: str):
    assert verdict(replace(OBSERVED, calls=calls), "no growth in lag").answer == answer


def test_growth_in_memory_is_told():
    growing = replace(OBSERVED, usages=usages(mb_per_hour=120.0))
    memory = memory_of(growing)
    assert memory.growth_mb_per_hour == pytest.approx(120.0, rel=1e-3)
    assert (memory.early_mb, memory.middle_mb, memory.end_mb) == pytest.approx(
        (202.0, 210.0, 220.0), abs=0.01
    )
    assert verdict(growing, "no growth in memory").answer == "no"
    assert verdict(replace(growing, seconds=60.0), "no growth in memory").answer == "too short to say"


@given(st.floats(-5, 5), st.floats(-100, 100), st.integers(2, 40))
def test_the_slope_of_a_line_is_found(steepness: float, start: float, count: int):
    times = [5.0 * number for number in range(count)]
    assert slope(times, [start + steepness * at for at in times]) == pytest.approx(steepness, abs=1e-6)


def test_the_slope_of_one_moment_is_none():
    assert slope([3.0], [7.0]) == slope([], []) == slope([1.0, 1.0], [2.0, 3.0]) == 0.0


# The report ---------------------------------------------------------------------------------------


def test_the_table_has_a_line_for_each_kind_and_a_verdict_for_each_question():
    report = report_on(OBSERVED)
    lines = report.to_table().splitlines()
    rows = {line.split()[0]: line.split() for line in lines if line}
    assert rows["moshi"] == ["moshi", "1", "200", "0", "30.0", "30.0", "30.0", "40", "10"]
    assert rows["all"][1:4] == ["3", "600", "0"]
    assert "clips: 3 answered, 0 failed, 20.0 times real time (least 10.0)" in lines
    assert "server: 25 % of a core" in lines
    assert [line for line in lines if line.startswith("no drop: yes (")]
    assert [line for line in lines if line.startswith("no growth in lag: yes (")]
    assert [line for line in lines if line.startswith("no growth in memory: yes (")]


def test_a_call_that_ended_is_told_with_its_reason():
    ended = report_on(replace(OBSERVED, calls=[replace(call(), ended="It was refused.")]))
    assert "browser call: It was refused." in ended.to_table()


def test_a_soak_of_nothing_but_clips_has_a_report():
    report: SoakReport = report_on(replace(OBSERVED, calls=[]))
    assert "no growth in lag: too short to say" in report.to_table()
    assert "Infinity" not in report.to_json()


@pytest.mark.parametrize("arguments", [["--seconds", "1"], ["--calls", "0"], ["--kinds", "browser,fax"]])
def test_what_cannot_be_soaked_is_refused(arguments: list[str]):
    parser = argparse.ArgumentParser(exit_on_error=False)
    command.add_arguments(parser)
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        parser.parse_args(arguments)


HOSTILE = Hostile({"silent": 300, "junk_frames": 20}, 60, 0, 0.05)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({}, "yes"),
        ({"hostile": replace(HOSTILE, health_failed=1)}, "no"),
        ({"hostile": replace(HOSTILE, tries={})}, "no"),
        ({"hostile": replace(HOSTILE, tries={"silent": 300, "junk_frames": 0})}, "no"),
        ({"usages": usages(dropped=1)}, "no"),
        ({"usages": usages(mb_per_hour=660.0)}, "no"),
        ({"calls": [replace(call(), ended="The server ended it.")]}, "no"),
    ],
)
def test_whether_hostile_clients_were_stood_is_told(change: dict[str, object], answer: str):
    found = verdict(replace(OBSERVED, **({"hostile": HOSTILE} | change)), "stands hostile clients")
    assert found.answer == answer
    assert "/health failed" in found.because


# A real one ---------------------------------------------------------------------------------------


def soak(*arguments: str) -> None:
    """Its verdict on drops, which ends it with 1, is for the long run on a quiet machine."""
    with contextlib.suppress(SystemExit):
        main(["soak", *arguments, "--json"])


@pytest.mark.alone
@pytest.mark.timeout(150)
def test_a_caller_of_each_kind_is_answered(capsys: pytest.CaptureFixture[str]):
    soak("--seconds", "6", "--calls", "4")
    report = json.loads(capsys.readouterr().out)
    kinds = {stats["kind"]: stats for stats in report["kinds"]}
    assert kinds.keys() == {"browser", "moshi", "twilio", "all"}
    for stats in kinds.values():
        assert stats["latency"]["answers"] > 0
        assert stats["latency"]["p50_ms"] > 0.0
    assert report["clips"]["answered"] > 0
    assert report["clips"]["failures"] == []
    assert report["ended"] == []
    assert report["drops"]["exceptions"] == 0
    assert report["memory"]["end_mb"] > 50.0
    assert report["verdicts"].keys() == {"no drop", "no growth in lag", "no growth in memory"}


@pytest.mark.alone
@pytest.mark.timeout(150)
def test_calls_go_on_beside_hostile_clients(capsys: pytest.CaptureFixture[str]):
    soak("--hostile", "--seconds", "9", "--calls", "4", "--kinds", "browser,moshi,twilio")
    report = json.loads(capsys.readouterr().out)
    assert report["ended"] == []
    assert report["drops"]["exceptions"] == 0
    because = report["verdicts"]["stands hostile clients"]["because"]
    assert "0 calls ended early" in because
    assert "/health failed 0 of" in because
    assert report["memory"]["end_mb"] - report["memory"]["early_mb"] < 100.0
