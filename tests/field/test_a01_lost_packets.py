"""A WebRTC caller loses packets: the delay stays what it was, and what is lost is all that is missing.

The buffer by itself is tested on made-up networks with a clock of its own (tests/unit/audio), and inside
aiortc (tests/unit/compat). Here are whole calls through the app, over a relay that loses and delays packets.
Their model says back what it hears, so the delay is that of the app. ``make test`` has one seed each;
with LOSSY_SEEDS=5 there are five, and what was measured is printed.
"""

import os
import re
from collections.abc import Iterator

import httpx
import pytest

from personaplex_ui.audio.network.jitter_buffer import JitterBuffer
from personaplex_ui.audio.network.packets import Concealment, Packet
from tests.support.app_process import AppProcess, running_app
from tests.support.lossy_call import APP, NETWORKS, NO_LIMITS, SECONDS, problems, recorded_call

PACKET_SEC = 0.02
RATE_HZ = 48_000
ATTEMPTS = 3


# The input of the report: three lost packets ---------------------------------------------------------


def test_three_lost_packets_cost_no_delay():
    """aiortc's buffer handed packet n on when n + 4 had come, and n + 15 after the loss."""
    buffer, delays = JitterBuffer(RATE_HZ), list[float]()
    lost = {100, 150, 200}
    for number in range(400):
        now = PACKET_SEC * number
        while (wake_at := buffer.wake_at) is not None and wake_at < now:
            assert all(isinstance(output, Concealment) for output in buffer.poll(wake_at))
        if number in lost:
            continue
        packet = Packet(1, number, 960 * number, 960, str(number).encode())
        for output in buffer.receive(packet, now):
            if isinstance(output, Packet):
                delays.append(now - PACKET_SEC * int(output.payload))
    assert len(delays) == 397
    assert max(delays) == 0.0
    assert (buffer.counts.lost, buffer.counts.concealed) == (3, 3)


# Whole calls ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with running_app(tmp_path_factory.mktemp("app"), APP, **NO_LIMITS) as app:
        yield app


@pytest.mark.alone
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(1, 1 + int(os.environ.get("LOSSY_SEEDS", "1"))))
@pytest.mark.parametrize("network", NETWORKS)
def test_a_call_on_a_bad_network_keeps_its_delay(app: AppProcess, network: str, seed: int):
    impairment = NETWORKS[network]
    before = counted(app)
    call, silence_sec = recorded_call(app, impairment, seed)
    lost = call.impaired.lost
    for attempt in range(2, ATTEMPTS + 1):
        if not (call.held_up and problems(call, silence_sec, impairment)):
            break
        call, silence_sec = recorded_call(app, impairment, 100 * attempt + seed)
        lost += call.impaired.lost
    grown_ms = 1_000 * max(call.growth_sec.values())
    print(
        f"{network}, seed {seed}: lost {call.impaired.lost} of {call.impaired.packets} packets, "
        f"{1_000 * call.at_first_sec:.0f} ms at first, {grown_ms:+.0f} ms at most, "
        f"silent {1_000 * silence_sec:.0f} ms; measured {1_000 * call.late_sec:.0f} ms late"
    )
    assert problems(call, silence_sec, impairment) == []
    assert len(call.growth_sec) >= SECONDS - 5, "nearly every second was measured"
    grown = {name: count - before[name] for name, count in counted(app).items()}
    assert grown["lost"] - grown["late"] == pytest.approx(lost, abs=5)
    assert grown["concealed"] >= 0.8 * lost
    assert "were concealed" in app.log


def counted(app: AppProcess) -> dict[str, float]:
    metrics = httpx.get(f"{app.url}/metrics", headers=app.headers).text
    found = re.findall(r'inbound_packets_total\{outcome="(\w+)"\} (\S+)', metrics)
    return {outcome: float(count) for outcome, count in found}
