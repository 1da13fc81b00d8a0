"""The comparison of two jitter buffers: what it makes of pulses, and how it is told."""

import json

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.jitter_report import BufferStats, JitterReport
from benchmarks.pulses import PULSE_EVERY, PulseDelays, PulseListener, PulseSpeaker, pulse_delays
from tests.support.clients.impairment import Impaired, Impairment

RATE_HZ = 48_000
PACKET_SEC = 0.02


def test_the_delay_of_each_pulse_is_found():
    speaker, listener = PulseSpeaker(RATE_HZ, PACKET_SEC), PulseListener()
    for number in range(200):
        sound = speaker.next_packet().samples
        assert 0.0005 < np.max(np.abs(sound)) < 0.5, "a hum, or a pulse"
        speaker.sent_at[-1] = 100.0 + PACKET_SEC * (number // PULSE_EVERY * PULSE_EVERY)
        delay_sec = 0.1 if number < 100 else 0.15
        listener.hear(100.0 + PACKET_SEC * number + delay_sec, sound, RATE_HZ)
    found = pulse_delays(speaker, listener, 100.0, 4.0, longest_sec=0.4)
    assert found.said == len(found.delays_sec) == 10
    assert found.median_sec(0.0, 2.0) == pytest.approx(0.1, abs=0.002)
    assert found.median_sec(2.0, 4.0) == pytest.approx(0.15, abs=0.002)
    assert found.by_second.keys() == {0, 1, 2, 3}


def test_a_pulse_that_is_not_heard_is_not_taken_for_the_next_one():
    speaker, listener = PulseSpeaker(RATE_HZ, PACKET_SEC), PulseListener()
    speaker.sent_at = [100.0, 100.4, 100.8]
    listener.heard_at = [100.1, 100.9]
    found = pulse_delays(speaker, listener, 100.0, 2.0, longest_sec=0.4)
    assert found.said == 3
    assert [at for at, _ in found.delays_sec] == pytest.approx([0.0, 0.8])


def stats(name: str, delay_sec: float) -> BufferStats:
    delays = PulseDelays(20, [(0.4 * number, delay_sec) for number in range(19)])
    return BufferStats(name, delays, Impaired(400, 4))


def test_both_are_told_side_by_side():
    report = JitterReport(
        9.0, 1, Impairment(0.01, 0.03, 10), stats("aiortc", 0.088), stats("ours", 0.008), 1.5
    )
    table = report.to_table()
    assert "1 % loss, 30 ms jitter, bursts of 10 packets" in table
    assert "Ours is faster by 80.0 ms." in table
    rows = {line.split()[0]: line.split() for line in table.splitlines() if line}
    assert rows["aiortc"][1:] == ["20", "19", "88.0", "88.0", "88.0", "88.0", "88.0", "4"]
    values = json.loads(report.to_json())
    assert values["won_ms"] == pytest.approx(80.0)
    assert [buffer["buffer"] for buffer in values["buffers"]] == ["aiortc", "ours"]
    assert values["network"] == {"loss": 0.01, "jitter_ms": 30.0, "burst": 10, "seed": 1}


@pytest.mark.timeout(120)
def test_both_buffers_hear_a_call_side_by_side(capsys: pytest.CaptureFixture[str]):
    main(["jitter", "--seconds", "5", "--json"])
    theirs, ours = json.loads(capsys.readouterr().out)["buffers"]
    assert (theirs["buffer"], ours["buffer"]) == ("aiortc", "ours")
    assert min(theirs["pulses"], ours["pulses"]) > 0
    assert min(theirs["heard"], ours["heard"]) > 0
