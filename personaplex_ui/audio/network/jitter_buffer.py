"""A jitter buffer that adds no delay of its own: packets of sound in, ordered packets and concealment out.

The next packet in sequence is handed on at once. A missing one is waited for no longer than others were late
in the last seconds; then its duration is concealed. If it arrives after all, it is dropped. So sound is never
later than the network makes it, however much was lost before.

Pure: it is given packets and the time, in seconds of one monotonic clock, and says when to ask it again.
Timestamps and durations are in ticks of ``rate_hz``. Independent of the codec.
"""

from collections import deque
from dataclasses import dataclass

from personaplex_ui.audio.network.packets import BufferCounts, Concealment, FloodGate, Output, Packet
from personaplex_ui.audio.network.transit import WAIT_AT_MOST_SEC, Transit, unwrap

CONCEALED_AT_MOST_SEC = 0.2
"""Longest concealment in a row. Then nothing is handed on: the sender has paused, or is gone."""

PIECE_SEC = 0.02
"""Concealment comes in pieces of at most this."""

MARGIN_SEC = 0.005
"""Allows a packet to be slightly later than all before it."""

SILENT_WAIT_SEC = 0.03
"""While nothing at all arrives, a packet is waited for at least this long: senders can be late, too."""

SENDER_LATE_SEC = 0.01
"""How late the next packet may be, after the last one's sound has ended, before it counts as missing."""

STALL_SEC = 0.01
"""If it is asked this much too late, our own process has stalled: packets may be waiting to be read."""

READ_WITHIN_SEC = 0.02
LATE_RUN_SEC = 0.08
"""After only late packets for this long, the network path has become slower, and they are accepted."""

LED_ASTRAY_SEC = 0.25
"""If a packet from the future made all others late, and none followed it for this long, they are accepted."""

PAUSE_SEC = 1.0
"""After this long without a packet, the next one starts the stream again."""

OTHER_SOURCE_AFTER_SEC = 0.04
MOST_STEPS = 100
"""A sequence number further away belongs to a restarted stream, if the next packet follows it. This also
bounds how many packets are held."""


@dataclass(frozen=True, slots=True)
class _Held:
    """``timestamp``: unwrapped."""

    packet: Packet
    timestamp: int
    since: float


class JitterBuffer:
    """One stream. Ask ``poll`` at ``wake_at``; ``receive`` may come at any time."""

    def __init__(self, rate_hz: int) -> None:
        self.counts = BufferCounts()
        self._rate_hz = rate_hz
        self._transit = Transit()
        self._source: int | None = None
        self._next = 0
        """The next sequence number, unwrapped like all that are kept."""
        self._position = 0
        """The timestamp up to which sound was handed on or concealed."""
        self._held: dict[int, _Held] = {}
        """Packets whose turn has not come yet, by sequence number."""
        self._missed: deque[int] = deque(maxlen=MOST_STEPS)
        self._piece = round(PIECE_SEC * rate_hz)
        self._most_concealed = round(CONCEALED_AT_MOST_SEC * rate_hz)
        self._concealed = self._most_concealed
        """Ticks since the last packet of sound. Before the first packet there is nothing to conceal."""
        self._arrived_at = 0.0
        self._sound_at = 0.0
        """When the last packet of sound was handed on. ``_sound_sec``: how long it lasts."""
        self._sound_sec = 0.0
        self._flood_gate = FloodGate()
        self._late_since: float | None = None
        self._debt = 0
        """Ticks concealed when the path slowed to the transit time ``_slow_sec``."""
        self._slow_sec = 0.0
        self._patient_until = 0.0
        self._begins_anew_with: int | None = None

    @property
    def jitter_sec(self) -> float:
        """How long a missing packet is waited for."""
        return self._transit.jitter_sec

    @property
    def held(self) -> int:
        return len(self._held)

    def receive(self, packet: Packet, now: float) -> list[Output]:
        """What can be handed on now that ``packet`` has arrived."""
        self.counts.received += 1
        if not (self._flood_gate.lets_in(packet.duration / self._rate_hz, now) and self._follow(packet, now)):
            self.counts.strange += 1
            return []
        self._arrived_at = now
        sequence = unwrap(packet.sequence, self._next, 16)
        timestamp = unwrap(packet.timestamp, self._position, 32)
        if packet.duration:
            self._transit.add(now, now - timestamp / self._rate_hz)
        if sequence in self._held or (sequence < self._next and sequence not in self._missed):
            self.counts.repeated += 1
        elif sequence >= self._next:
            self._held[sequence] = _Held(packet, timestamp, now)
        elif now - self._sound_at >= LED_ASTRAY_SEC:
            self._begin(packet)
            self._held[self._next] = _Held(packet, self._position, now)
        else:
            self._missed.remove(sequence)
            self.counts.late += 1
        return self._hand_on(now)

    def poll(self, now: float) -> list[Output]:
        """What can be handed on ``now``, after waiting long enough."""
        wake_at = self.wake_at
        if wake_at is None or now < wake_at:
            return []
        if now - wake_at > STALL_SEC and self._patient_until <= self._arrived_at:
            self._patient_until = now + READ_WITHIN_SEC
            return []
        return self._hand_on(now)

    @property
    def wake_at(self) -> float | None:
        """When to call ``poll``, unless a packet arrives first; None: no need."""
        if self._source is None:
            return None
        due = self._transit.fastest_sec + self._position / self._rate_hz
        if self._held:
            held_since = min(held.since for held in self._held.values())
            wait = min(WAIT_AT_MOST_SEC, self._transit.jitter_sec + MARGIN_SEC)
            waited_enough_at = min(due + wait, held_since + WAIT_AT_MOST_SEC)
            return max(waited_enough_at, self._patient_until)
        if self._concealed >= self._most_concealed:
            return None
        wait = min(WAIT_AT_MOST_SEC, max(SILENT_WAIT_SEC, self._transit.jitter_sec + SENDER_LATE_SEC))
        concealed_sec = self._concealed / self._rate_hz
        # A sender with wrong timestamps would otherwise always seem late.
        next_at = self._sound_at + self._sound_sec + concealed_sec + SENDER_LATE_SEC
        return max(due + wait, next_at, self._patient_until)

    # Which stream --------------------------------------------------------------------------------------

    def _follow(self, packet: Packet, now: float) -> bool:
        """Whether ``packet`` belongs to the stream, or starts a new one."""
        quiet_sec = now - self._arrived_at
        if packet.source != self._source:
            if self._source is not None and quiet_sec < OTHER_SOURCE_AFTER_SEC:
                return False
            self._begin(packet)
            return True
        steps = unwrap(packet.sequence, self._next, 16) - self._next
        if quiet_sec >= PAUSE_SEC and (steps >= 0 or steps < -MOST_STEPS):
            self.counts.lost += max(0, steps - len(self._held))
            self._begin(packet)
        elif abs(steps) > MOST_STEPS:
            if packet.sequence != self._begins_anew_with:
                self._begins_anew_with = (packet.sequence + 1) & 0xFFFF
                return False
            self._begin(packet)
        self._begins_anew_with = None
        return True

    def _begin(self, packet: Packet) -> None:
        """Restart the stream at ``packet``; everything held is too old for it."""
        self.counts.late += len(self._held)
        self.counts.lost += len(self._held)
        self._held.clear()
        self._missed.clear()
        self._transit = Transit()
        self._source = packet.source
        self._next = packet.sequence
        self._position = packet.timestamp
        self._concealed = self._most_concealed
        self._late_since = None
        self._debt = 0
        self._begins_anew_with = None

    def _has_become_slower(self, now: float) -> bool:
        """To be asked for each late packet."""
        if self._late_since is None:
            self._late_since = now
        return now - self._late_since >= LATE_RUN_SEC

    # What is handed on ---------------------------------------------------------------------------------

    def _hand_on(self, now: float) -> list[Output]:
        output: list[Output] = []
        while True:
            if self._next in self._held:
                self._take_next(now, output)
                continue
            wake_at = self.wake_at
            if not self._gap_is_concealed() and (wake_at is None or now < wake_at):
                return output
            if self._held:
                self._conceal_gap(now, output)
            else:
                self._conceal(self._piece, output)

    def _take_next(self, now: float, output: list[Output]) -> None:
        held = self._held.pop(self._next)
        packet, timestamp = held.packet, held.timestamp
        self._next += 1
        overdue = self._position - timestamp
        if packet.duration and self._concealed and overdue > packet.duration // 2:
            self.counts.lost += 1
            if not self._has_become_slower(now):
                self.counts.late += 1
                return
            self._transit = Transit()
            self._debt, self._slow_sec = overdue, held.since - timestamp / self._rate_hz
        elif self._pays_debt(held):
            self.counts.lost += 1
            self.counts.late += 1
            self._position = timestamp + packet.duration
            return
        self.counts.handed_on += 1
        if packet.duration:
            self._position = timestamp + packet.duration
            self._piece = min(packet.duration, round(PIECE_SEC * self._rate_hz))
            self._concealed = 0
            self._sound_at, self._sound_sec = now, packet.duration / self._rate_hz
            if not self._transit.known:
                self._transit.add(now, now - timestamp / self._rate_hz)
            self._late_since = None
        output.append(packet)

    def _gap_is_concealed(self) -> bool:
        """Whether the gap before the first held packet is concealed, so its packets would be too late."""
        return bool(
            self._held and self._concealed and self._held[min(self._held)].timestamp <= self._position
        )

    def _pays_debt(self, held: _Held) -> bool:
        """Whether to drop ``held``: the path is faster again than when it had slowed, so the sound concealed
        then is now surplus."""
        duration_sec = held.packet.duration / self._rate_hz
        transit_sec = held.since - held.timestamp / self._rate_hz
        if not 0 < held.packet.duration <= self._debt or self._slow_sec - transit_sec < duration_sec:
            return False
        self._debt -= held.packet.duration
        self._slow_sec -= duration_sec
        return True

    def _conceal_gap(self, now: float, output: list[Output]) -> None:
        """Conceal the next piece of the gap before the first held packet."""
        first = min(self._held)
        missing = first - self._next
        elapsed = round((now - self._sound_at + WAIT_AT_MOST_SEC) * self._rate_hz)
        room = min(self._most_concealed, elapsed) - self._concealed
        lacking = min(self._held[first].timestamp - self._position, missing * self._lasting_of_one())
        piece = min(self._piece, lacking)
        if 0 < piece <= room:
            self._conceal(piece, output)
            if lacking > piece:
                return
        self.counts.lost += missing
        self._missed.extend(range(max(self._next, first - MOST_STEPS), first))
        self._next = first

    def _lasting_of_one(self) -> int:
        """Ticks of a missing packet, assumed to be as long as the last one."""
        return max(self._piece, round(self._sound_sec * self._rate_hz))

    def _conceal(self, duration: int, output: list[Output]) -> None:
        self._position += duration
        self._concealed += duration
        self.counts.concealed += 1
        output.append(Concealment(duration))
