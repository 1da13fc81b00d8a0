"""The assistant's track, as aiortc's sender asks it for packets."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from personaplex_ui.audio.frames import Samples
from personaplex_ui.channels.browser import answer_track
from personaplex_ui.channels.browser.answer_track import PACKET_SEC, AnswerTrack
from personaplex_ui.errors import CallOver


def track_of(*sounds: int) -> AnswerTrack:
    """Of sounds of so many samples; then the call is over."""
    left = list(sounds)

    async def next_sound() -> Samples:
        if not left:
            raise CallOver("You hung up.")
        return np.zeros(left.pop(0), dtype=np.float32)

    return AnswerTrack(next_sound)


async def test_packets_follow_each_other_in_the_streams_time_and_then_it_ends():
    track = track_of(1_920, 480, 0, 960)
    packets = [await track.recv() for _ in range(7)]
    assert [packet.pts for packet in packets] == [960 * number for number in range(7)]
    assert all(float(packet.time_base) == 1 / 48_000 for packet in packets)
    for _ in range(2):
        with pytest.raises(MediaStreamError):
            await track.recv()
    assert track.readyState == "ended"


async def test_each_is_given_when_it_is_due_and_never_earlier():
    track = track_of(1_920, 1_920)
    began = time.monotonic()
    for number in range(8):
        await track.recv()
        assert time.monotonic() - began >= number * PACKET_SEC - 0.001


class Clock:
    """Stands in for the track's clock and its sleep, so that a stall lasts exactly as long as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(answer_track, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(answer_track, "asyncio", SimpleNamespace(sleep=self._sleep))

    async def _sleep(self, sec: float) -> None:
        self.now += sec


@pytest.mark.parametrize(
    ("stall_sec", "sent_after_sec"),
    [
        (0.055, [0.055, 0.055, 0.06, 0.08, 0.1]),  # as if nothing had happened
        (0.1, [0.1, 0.1, 0.1, 0.12, 0.14]),  # no more than three at once, and the rest is later for good
    ],
)
async def test_what_a_stall_made_late_is_sent_at_once_but_never_more_than_players_absorb(
    monkeypatch: pytest.MonkeyPatch, stall_sec: float, sent_after_sec: list[float]
):
    clock = Clock(monkeypatch)
    track = track_of(480, 1_920, 480)
    await track.recv()
    clock.now += stall_sec
    sent: list[float] = []
    for _ in sent_after_sec:
        await track.recv()
        sent.append(clock.now - 100.0)
    assert sent == pytest.approx(sent_after_sec)
