"""The bad network of the soak: how much it loses and delays, and that it says so."""

import argparse
import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from benchmarks.soak import command
from benchmarks.soak.soak_report import report_on
from personaplex_ui.calls.snapshot import PacketCounts
from personaplex_ui.errors import PersonaplexError
from tests.e2e.benchmarks.test_soak import OBSERVED
from tests.support.clients.impairment import (
    BURST_EVERY_SEC,
    FIRST_BURST_SEC,
    BadNetwork,
    Impaired,
    Impairment,
    together,
)
from tests.support.clients.relay import Relay
from tests.support.running import until

PACKETS = 5_000


def delays(impairment: Impairment, seed: int = 1) -> tuple[list[float | None], Impaired]:
    """Of packets sent every 20 ms."""
    network = BadNetwork(impairment, seed)
    return [network.delay_sec(0.02 * number) for number in range(PACKETS)], network.done


def test_a_good_network_does_nothing():
    assert not Impairment()
    seen, done = delays(Impairment())
    assert set(seen) == {0.0}
    assert done == Impaired(packets=PACKETS)


def test_loss_and_jitter_are_what_was_asked_for_and_the_same_for_a_seed():
    seen, done = delays(Impairment(loss=0.05, jitter_sec=0.03))
    assert seen == delays(Impairment(loss=0.05, jitter_sec=0.03))[0]
    assert seen != delays(Impairment(loss=0.05, jitter_sec=0.03), seed=2)[0]
    assert done.lost == seen.count(None)
    assert done.lost / PACKETS == pytest.approx(0.05, abs=0.01)
    passed = [delay for delay in seen if delay is not None]
    assert done.mean_delay_sec == pytest.approx(sum(passed) / len(passed)) == pytest.approx(0.015, abs=0.001)
    assert done.most_delay_sec == max(passed) <= 0.03


def test_bursts_are_lost_in_a_row_and_change_nothing_else():
    seen, done = delays(Impairment(loss=0.01, burst=10))
    for number in range(done.bursts):
        begins = round((FIRST_BURST_SEC + number * BURST_EVERY_SEC) / 0.02)
        assert seen[begins : begins + 10] == [None] * 10
    assert done.bursts == 10
    assert done.longest_loss >= 10
    without = delays(Impairment(loss=0.01))[0]
    in_bursts = [new for new, old in zip(seen, without, strict=True) if new != old]
    assert set(in_bursts) == {None}


def test_several_networks_are_told_together():
    one, other = Impaired(100, 10, 3, 1, 0.01, 0.03), Impaired(50, 40, 9, 2, 0.02, 0.02)
    done = together([one, other])
    assert done == Impaired(150, 50, 9, 3, done.mean_delay_sec, 0.03)
    assert done.mean_delay_sec == pytest.approx(0.011)
    assert together([]) == Impaired()


# The relay ------------------------------------------------------------------------------------------


async def test_a_call_goes_through_the_relay_and_loses_only_sound():
    """Two peers that know each other by the relay alone; their data channel loses nothing."""
    caller, callee = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    relay = Relay(Impairment(loss=0.5), seed=3)
    texts: list[str] = []
    numbers: list[int] = []

    @callee.on("datachannel")
    def opened(channel: Any) -> None:
        channel.on("message")(texts.append)

    @callee.on("track")
    def came(_: Any) -> None:
        receiver: Any = callee.getTransceivers()[0].receiver
        handle = receiver._handle_rtp_packet

        async def note(packet: Any, arrival_time_ms: int) -> None:
            numbers.append(packet.sequence_number)
            await handle(packet, arrival_time_ms)

        receiver._handle_rtp_packet = note

    caller.addTrack(AudioStreamTrack())
    channel = caller.createDataChannel("text")
    try:
        await caller.setLocalDescription(await caller.createOffer())
        offer = await relay.toward_server(caller.localDescription)
        assert offer.sdp.count("a=candidate") == offer.sdp.count("m=") == 2
        await callee.setRemoteDescription(offer)
        await callee.setLocalDescription(await callee.createAnswer())
        await caller.setRemoteDescription(relay.toward_client(callee.localDescription))
        await until(lambda: channel.readyState == "open")
        for number in range(50):
            channel.send(str(number))
        await until(lambda: len(texts) == 50 and relay.done.packets >= 50)
        assert texts == list(map(str, range(50)))
        await until(lambda: len(numbers) >= relay.done.packets - relay.done.lost - 1)
        assert 10 < relay.done.lost < relay.done.packets - 10
        assert len(numbers) <= relay.done.packets - relay.done.lost
    finally:
        await asyncio.gather(caller.close(), callee.close())
        relay.close()


async def test_an_offer_without_a_usable_candidate_is_refused():
    with pytest.raises(PersonaplexError, match="candidate"):
        await Relay(Impairment(loss=0.1), 1).toward_server(RTCSessionDescription("v=0\r\n", "offer"))


# The command and its report -------------------------------------------------------------------------


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    command.add_arguments(parser)
    return parser.parse_args(arguments)


def test_the_command_takes_what_a_network_does():
    given = parsed("--loss", "5%", "--jitter", "30", "--burst", "10")
    assert (given.loss, given.jitter, given.burst) == (0.05, 30, 10)
    assert parsed("--loss", "0.01").loss == 0.01
    assert (parsed().loss, parsed().jitter, parsed().burst) == (0.0, 0, 0)


@pytest.mark.parametrize(
    "arguments",
    [["--loss", "2"], ["--loss", "much"], ["--loss", "nan"], ["--jitter", "-1"], ["--burst", "x"]],
)
def test_what_no_network_does_is_refused(arguments: list[str]):
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        parsed(*arguments)


async def test_a_bad_network_without_a_browser_is_refused():
    with pytest.raises(PersonaplexError, match="browser"):
        await command.measure(parsed("--kinds", "moshi", "--loss", "0.1"))


def test_the_report_tells_what_the_network_did_and_what_the_server_made_of_it():
    last = replace(OBSERVED.usages[-1], packets=PacketCounts(1_500, 7, 1_600))
    observed = replace(
        OBSERVED,
        usages=[*OBSERVED.usages[:-1], last],
        impairment=Impairment(0.05, 0.03, 10),
        impaired=Impaired(30_000, 1_493, 12, 60, 0.0151, 0.03),
    )
    report = report_on(observed)
    table = report.to_table()
    assert "browsers' network: 5 % loss, 30 ms jitter, bursts of 10 packets" in table
    assert "it lost 1,493 of 30,000 packets to the server (60 bursts, at most 12 in a row)" in table
    assert "the server missed 1,500, of which 7 came late, and concealed 1,600" in table
    values = json.loads(report.to_json())
    assert values["impaired"]["lost"] == 1_493
    assert values["packets"] == {"lost": 1_500, "late": 7, "concealed": 1_600}
    assert "network" not in report_on(OBSERVED).to_table()
