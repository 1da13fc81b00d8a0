"""The jitter buffer against made-up networks, with a clock of our own: order, delay, and what is counted."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_ui.audio.network.jitter_buffer import MOST_STEPS, READ_WITHIN_SEC, JitterBuffer
from personaplex_ui.audio.network.packets import Concealment, Output, Packet
from personaplex_ui.audio.network.transit import WAIT_AT_MOST_SEC

RATE_HZ = 48_000
PACKET_SEC = 0.02
TICKS = 960


@dataclass(slots=True)
class Arrival:
    at: float
    packet: Packet


@dataclass(slots=True)
class Played:
    """What came out, with the moment."""

    outputs: list[tuple[float, Output]] = field(default_factory=list[tuple[float, Output]])

    @property
    def packets(self) -> list[tuple[float, Packet]]:
        return [(at, output) for at, output in self.outputs if isinstance(output, Packet)]

    @property
    def concealed_sec(self) -> float:
        return sum(o.duration for _, o in self.outputs if isinstance(o, Concealment)) / RATE_HZ

    @property
    def numbers(self) -> list[int]:
        return [int(packet.payload) for _, packet in self.packets]

    def delay_sec(self, sent_at: Sequence[float]) -> list[float]:
        return [at - sent_at[int(packet.payload)] for at, packet in self.packets]

    def longest_gap_sec(self) -> float:
        """Between the end of some sound, as it would be played, and the next."""
        gap, until = 0.0, self.outputs[0][0]
        for at, output in self.outputs:
            gap = max(gap, at - until)
            until = max(until, at) + output.duration / RATE_HZ
        return gap


def packet(number: int, sequence: int = 0, timestamp: int = 0, source: int = 1, ticks: int = TICKS) -> Packet:
    """Number ``number`` of a stream that begins with ``sequence`` and ``timestamp``."""
    return Packet(
        source,
        (sequence + number) & 0xFFFF,
        (timestamp + number * ticks) & 0xFFFF_FFFF,
        ticks,
        str(number).encode(),
    )


def on_time(number: int, delay_sec: float = 0.0) -> float:
    return 100.0 + number * PACKET_SEC + delay_sec


def run(
    arrivals: Iterable[Arrival], buffer: JitterBuffer | None = None, until: float | None = None
) -> tuple[JitterBuffer, Played]:
    """Let ``arrivals`` come in, and ask the buffer whenever it wants to be asked."""
    buffer = buffer or JitterBuffer(RATE_HZ)
    played = Played()
    ordered = sorted(arrivals, key=lambda arrival: arrival.at)
    for arrival in ordered:
        _wait(buffer, played, arrival.at)
        played.outputs += [(arrival.at, output) for output in buffer.receive(arrival.packet, arrival.at)]
    _wait(buffer, played, ordered[-1].at + 1.0 if until is None else until)
    return buffer, played


def _wait(buffer: JitterBuffer, played: Played, until: float) -> None:
    while (wake_at := buffer.wake_at) is not None and wake_at <= until:
        played.outputs += [(wake_at, output) for output in buffer.poll(wake_at)]
        assert buffer.wake_at is None or buffer.wake_at > wake_at, "it would be asked for ever"


def stream(count: int, lost: Iterable[int] = (), **kind: int) -> list[Arrival]:
    gone = set(lost)
    return [Arrival(on_time(n), packet(n, **kind)) for n in range(count) if n not in gone]


# Without loss -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sequence", "timestamp"), [(0, 0), (65_500, 2**32 - 20 * TICKS), (40_000, 2**31)])
def test_what_comes_in_order_is_handed_on_at_once(sequence: int, timestamp: int):
    buffer, played = run(stream(200, sequence=sequence, timestamp=timestamp))
    assert played.packets == [(on_time(n), packet(n, sequence, timestamp)) for n in range(200)]
    assert buffer.counts.lost == buffer.counts.late == 0


@pytest.mark.parametrize("ticks", [480, 960, 1_920, 2_880])
def test_packets_of_any_length_are_taken(ticks: int):
    arrivals = [Arrival(100.0 + n * ticks / RATE_HZ, packet(n, ticks=ticks)) for n in range(100) if n != 50]
    buffer, played = run(arrivals, until=arrivals[-1].at)
    assert played.numbers == [n for n in range(100) if n != 50]
    assert played.concealed_sec == pytest.approx(ticks / RATE_HZ)
    assert max(at - arrival.at for (at, _), arrival in zip(played.packets, arrivals, strict=True)) == 0.0
    assert buffer.counts.lost == 1


def test_clocks_that_drift_change_nothing():
    for drift in (0.999, 1.001):
        arrivals = [Arrival(100.0 + n * PACKET_SEC * drift, packet(n)) for n in range(3_000)]
        buffer, played = run(arrivals, until=arrivals[-1].at)
        assert len(played.packets) == 3_000
        assert buffer.counts.concealed == 0


# Loss ---------------------------------------------------------------------------------------------


def test_lost_packets_are_concealed_in_time_and_leave_no_delay():
    lost = {50, 80, 110}
    buffer, played = run(stream(200, lost), until=on_time(199))
    assert played.numbers == [n for n in range(200) if n not in lost]
    sent_at = [on_time(n) for n in range(200)]
    assert max(played.delay_sec(sent_at)) == 0.0
    assert played.concealed_sec == pytest.approx(3 * PACKET_SEC)
    assert (buffer.counts.lost, buffer.counts.concealed) == (3, 3)
    assert played.longest_gap_sec() <= 0.03 + 1e-9


def test_a_burst_is_concealed_as_it_goes_by_and_ends_on_time():
    lost = set(range(50, 60))
    buffer, played = run(stream(200, lost), until=on_time(199))
    made_up = [at for at, output in played.outputs if isinstance(output, Concealment)]
    assert len(made_up) == 10
    assert all(at <= on_time(n, 0.03 + 1e-9) for at, n in zip(made_up, sorted(lost), strict=True))
    assert [at for at, p in played.packets if p.payload == b"60"] == [on_time(60)]
    assert buffer.counts.lost == 10


def test_concealment_ends_when_nothing_comes_any_more():
    _, played = run(stream(50), until=on_time(500))
    assert played.concealed_sec == pytest.approx(0.2)


@pytest.mark.parametrize("jumps", [True, False], ids=["timestamps go on", "timestamps stand still"])
@pytest.mark.parametrize("pause_packets", [5, 20, 300, 3_000])
def test_a_sender_may_pause_without_loss(jumps: bool, pause_packets: int):
    before = stream(50)
    after = [
        Arrival(
            on_time(50 + pause_packets + n),
            Packet(1, 50 + n, (50 + n + jumps * pause_packets) * TICKS, TICKS, str(50 + n).encode()),
        )
        for n in range(100)
    ]
    _, played = run([*before, *after], until=after[-1].at)
    assert played.concealed_sec <= 0.2 + 1e-9
    # What was concealed already is not said a second time; but no more than 0.1 s of what comes is left out.
    assert len(played.packets) >= (150 if jumps else 145)
    assert played.numbers[-20:] == list(range(130, 150))
    arrived_at = {int(a.packet.payload): a.at for a in [*before, *after]}
    assert all(at == arrived_at[int(p.payload)] for at, p in played.packets)


# Jitter and order ---------------------------------------------------------------------------------


def test_the_wait_follows_the_jitter_and_shrinks_again():
    dice = random.Random(4)
    rough = [on_time(n, dice.uniform(0.0, 0.03) if n < 300 else 0.0) for n in range(600)]
    arrivals = [Arrival(at, packet(n)) for n, at in enumerate(rough)]
    buffer, _ = run(arrivals[:300], until=on_time(300))
    assert 0.02 < buffer.jitter_sec <= 0.03
    buffer, _ = run(arrivals[300:], buffer, until=on_time(600))
    assert buffer.jitter_sec == pytest.approx(0.0, abs=1e-6)


def test_packets_that_changed_places_are_put_in_order():
    arrivals = stream(200)
    for n in range(20, 180, 7):
        arrivals[n].at, arrivals[n + 1].at = arrivals[n].at + 0.021, arrivals[n + 1].at
    buffer, played = run(arrivals, until=on_time(200))
    assert played.numbers == sorted(played.numbers)
    assert len(played.numbers) >= 199, "only the first one came as a surprise"
    assert buffer.counts.late <= 1


def test_a_heap_after_a_stall_of_the_network_is_not_played_late():
    """Fifteen packets come at once, 0.3 s late: what was concealed meanwhile is not said a second time."""
    arrivals = [Arrival(on_time(65) if 50 <= n < 65 else on_time(n), packet(n)) for n in range(200)]
    _, played = run(arrivals, until=on_time(199))
    total_sec = len(played.packets) * PACKET_SEC + played.concealed_sec
    assert total_sec == pytest.approx(200 * PACKET_SEC, abs=0.021)
    sent_at = [on_time(n) for n in range(200)]
    assert max(played.delay_sec(sent_at)[-130:]) == 0.0


def test_a_way_that_has_become_slower_is_followed():
    arrivals = [Arrival(on_time(n, 0.15 if n >= 100 else 0.0), packet(n)) for n in range(300)]
    buffer, played = run(arrivals, until=on_time(300))
    assert buffer.counts.late <= 8
    assert played.numbers[-180:] == list(range(120, 300))
    assert buffer.counts.concealed <= 20


def test_a_way_that_is_slower_for_a_while_leaves_no_lag():
    """What was made up when it became slower is left out when it is fast again."""
    queued = {n: min(on_time(n, 0.15), on_time(200) - 1e-4) for n in range(100, 200)}
    arrivals = [Arrival(queued.get(n, on_time(n)), packet(n)) for n in range(400)]
    _, played = run(arrivals, until=on_time(399))
    total_sec = len(played.packets) * PACKET_SEC + played.concealed_sec
    assert total_sec == pytest.approx(400 * PACKET_SEC, abs=0.041)
    assert played.numbers[-180:] == list(range(220, 400))


def test_our_own_stall_is_no_loss():
    """The process stood still for 0.1 s: the packets are in the socket, and are read one after the other."""
    buffer, played = run(stream(50), until=on_time(49))
    woke_at = on_time(55)
    assert buffer.poll(woke_at) == []
    late = [Arrival(woke_at + 0.001 * n, packet(50 + n)) for n in range(6)]
    assert late[-1].at < woke_at + READ_WITHIN_SEC
    _, played = run([*late, *stream(100)[56:]], buffer, until=on_time(99))
    assert played.numbers == list(range(50, 100))
    assert buffer.counts.late == buffer.counts.concealed == 0


# Odd and hostile ----------------------------------------------------------------------------------


def test_repeated_packets_are_dropped():
    arrivals = [Arrival(a.at + extra, a.packet) for a in stream(100) for extra in (0.0, 0.001, 0.5)]
    buffer, played = run(arrivals, until=on_time(99))
    assert played.numbers == list(range(100))
    assert buffer.counts.repeated == 200
    assert buffer.counts.lost == 0


@pytest.mark.parametrize(
    ("source", "sequence", "timestamp"),
    [(2, 7, 5), (2, 30_000, 2**31), (1, 30_000, 2**31), (1, 60_000, 12), (1, 51, 2**31)],
)
def test_a_sender_that_begins_anew_is_heard_at_once(source: int, sequence: int, timestamp: int):
    again = [Arrival(on_time(50 + n), packet(n, sequence, timestamp, source)) for n in range(100)]
    _, played = run([*stream(50), *again], until=on_time(149))
    new = [(at, p) for at, p in played.packets if at >= on_time(50)]
    assert len(new) >= 98, "at most two packets are needed to believe it"
    assert played.concealed_sec <= 0.2 + 1e-9


def test_a_timestamp_that_falls_back_costs_little():
    again = [Arrival(on_time(50 + n), packet(n, 50, 2**32 - 90_000)) for n in range(100)]
    _, played = run([*stream(50), *again], until=on_time(149))
    assert len(played.packets) >= 145


def test_two_sources_at_once_are_one_voice():
    other = [Arrival(on_time(n, 0.007), packet(n, 500, source=2)) for n in range(50)]
    buffer, played = run([*stream(100), *other], until=on_time(99))
    assert played.numbers == list(range(100))
    assert buffer.counts.strange == 50


def test_a_packet_from_the_near_future_leads_astray_for_a_moment_only():
    stranger = Arrival(on_time(50, 0.003), Packet(1, 130, 130 * TICKS, TICKS, b"130"))
    _, played = run([*stream(300), stranger], until=on_time(299))
    assert 130 in played.numbers
    assert played.numbers[-230:] == list(range(70, 300))


def test_a_single_packet_from_far_away_changes_nothing():
    strangers = [Arrival(on_time(n, 0.003), Packet(1, 20_000 + 777 * n, n, TICKS, b"999")) for n in range(80)]
    buffer, played = run([*stream(100), *strangers], until=on_time(99))
    assert played.numbers == list(range(100))
    assert buffer.counts.strange == 80


@pytest.mark.parametrize("ticks", [160, 480, 1_920])
def test_a_sender_whose_timestamps_are_wrong_is_heard(ticks: int):
    """Packets of 20 ms whose timestamps say something else."""
    arrivals = [Arrival(on_time(n), Packet(1, n, n * ticks, TICKS, str(n).encode())) for n in range(500)]
    _, played = run(arrivals, until=on_time(499))
    assert len(played.packets) == 500
    assert played.concealed_sec <= 0.2


def test_a_flood_is_not_taken():
    """A hundred times as fast as time, in order: each packet would cost a decoding."""
    flood = [Arrival(100.0 + n * PACKET_SEC / 100, packet(n)) for n in range(5_000)]
    buffer, played = run(flood, until=flood[-1].at)
    assert len(played.packets) * PACKET_SEC <= 5.0 + 2 * 1.0
    assert buffer.counts.strange >= 4_600
    after = [Arrival(flood[-1].at + 5.0 + n * PACKET_SEC, packet(n, source=2)) for n in range(200)]
    _, played = run(after, buffer, until=after[-1].at)
    assert len(played.packets) == 200


def test_junk_is_bounded():
    dice = random.Random(5)
    buffer = JitterBuffer(RATE_HZ)
    now, made_up = 100.0, 0
    for _ in range(20_000):
        now += dice.choice([0.0, 0.0001, 0.01])
        junk = Packet(dice.choice([1, 1, 2]), dice.getrandbits(16), dice.getrandbits(32), TICKS, b"0")
        outputs = [*buffer.receive(junk, now), *buffer.poll(now)]
        made_up += sum(isinstance(output, Concealment) for output in outputs)
        assert len(outputs) <= MOST_STEPS + 20
        assert buffer.held <= MOST_STEPS
    assert made_up * PACKET_SEC <= now - 100.0 + 1.0


# Any network --------------------------------------------------------------------------------------


@st.composite
def networks(draw: st.DrawFn) -> list[tuple[float, int]]:
    """What arrives when: packet numbers with loss, bursts, jitter, repeats, as a network brings them."""
    dice = random.Random(draw(st.integers(0, 10**6)))
    loss = draw(st.sampled_from([0.0, 0.01, 0.05, 0.3]))
    jitter_sec = draw(st.sampled_from([0.0, 0.01, 0.03, 0.06, 0.2]))
    burst_at = draw(st.integers(100, 250))
    burst = draw(st.integers(0, 14))
    repeats = draw(st.sampled_from([0.0, 0.1]))
    arrivals: list[tuple[float, int]] = []
    for n in range(1_000):
        if burst_at <= n < burst_at + burst or (n < 850 and dice.random() < loss):
            continue
        late = dice.uniform(0.0, jitter_sec) if n < 850 else 0.0
        arrivals.append((on_time(n, late), n))
        if dice.random() < repeats:
            arrivals.append((on_time(n, late + dice.uniform(0.0, 0.1)), n))
    return arrivals


@settings(max_examples=150)
@given(networks(), st.integers(0, 65_535), st.integers(0, 2**32 - 1))
def test_on_any_network(network: list[tuple[float, int]], sequence: int, timestamp: int):
    arrivals = [Arrival(at, packet(n, sequence, timestamp)) for at, n in network]
    buffer, played = run(arrivals, until=max(at for at, _ in network))
    counts = buffer.counts
    # Order, and none twice.
    assert played.numbers == sorted(set(played.numbers))
    # All are accounted for.
    assert counts.received == len(arrivals)
    assert counts.received == (
        counts.handed_on + counts.late + counts.repeated + counts.strange + buffer.held
    )
    assert counts.handed_on == len(played.packets)
    # Nobody waits longer than the bound.
    arrived_at: dict[int, list[float]] = defaultdict(list)
    for at, n in network:
        arrived_at[n].append(at)
    for at, p in played.packets:
        assert any(0.0 <= at - came <= WAIT_AT_MOST_SEC + 1e-9 for came in arrived_at[int(p.payload)])
    # The lag never grows: so much sound as time came out, and at the end all of it comes at once.
    sound_sec = len(played.packets) * PACKET_SEC + played.concealed_sec
    assert sound_sec <= network[-1][0] - on_time(0) + PACKET_SEC + 0.25
    assert all(at in arrived_at[int(p.payload)] for at, p in played.packets if int(p.payload) > 960)
    assert played.numbers[-40:] == list(range(960, 1_000))
