"""Ogg pages of up to two seconds lose nothing, whoever packed them: they only delay the sound.

Each page comes when it is complete, as a live client sends it: to the engine's scheduler in a time of the
test's own, and some over a real connection to a model that repeats each frame, so that they can be counted.
"""

import io
import struct
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAME_SEC, SAMPLE_RATE_HZ, Samples
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.channels.moshi.opus import OggPages, OpusInput, Page
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.errors import ProtocolError
from tests.support.clients.moshi import MoshiClient, chat
from tests.support.loopback_server import moshi_server
from tests.support.paced_rig import hear_all

FIELD = Path(__file__).parents[1] / "data" / "field" / "ogg_pages_600ms.ogg"
SEC = 8.0
PAGES_SENT = 10
FRAMES_AHEAD = 2
"""So many may still be on their way when the next page is sent: a page seldom ends where a frame does."""
SETTINGS = CallSettings(Persona("NATF2", ""), record=False)


def speech_like(sec: float = SEC) -> Samples:
    """A voice's pitch, never silent, so that nothing is passed over as quiet."""
    at = np.arange(round(sec * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.2 * np.sin(2 * np.pi * 180 * at) * (1.2 + np.sin(2 * np.pi * 3 * at))).astype(np.float32)


def by_ffmpeg(page_ms: int, frame_ms: int = 20, layout: str = "mono", rate: int = 24_000) -> bytes:
    """As ``ffmpeg -c:a libopus -frame_duration ... -page_duration ...`` packs it."""
    target = io.BytesIO()
    options = {"page_duration": str(page_ms * 1_000)}
    with av.open(target, "w", "ogg", container_options=options) as container:
        stream = container.add_stream("libopus", rate=rate, options={"frame_duration": str(frame_ms)})
        stream.layout = layout
        resampler = av.AudioResampler("flt", layout, rate)
        frame = av.AudioFrame.from_ndarray(speech_like()[None, :], "flt", "mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        for resampled in [*resampler.resample(frame), *resampler.resample(None)]:
            resampled.pts = None
            container.mux(stream.encode(resampled))
        container.mux(stream.encode(None))
    return target.getvalue()


def repacked(ogg: bytes, segments_a_page: int) -> bytes:
    """The same packets with their segments dealt out anew, so that packets go on from page to page."""
    pages = [page for page in OggPages().receive(ogg) if isinstance(page, Page)]
    head, rest = pages[0].content, b"".join(packet for page in pages[2:] for packet, _, _ in page.packets)
    lacing = b"".join(page.content[27 : 27 + page.content[26]] for page in pages[2:])
    made, at, continued = [head, pages[1].content], 0, False
    for start in range(0, len(lacing), segments_a_page):
        table = lacing[start : start + segments_a_page]
        header = b"OggS" + struct.pack("<BBqIII", 0, int(continued), 0, pages[0].serial, len(made), 0)
        made.append(header + bytes([len(table)]) + table + rest[at : at + sum(table)])
        at, continued = at + sum(table), table[-1] == 255
    return b"".join(made)


def timed(ogg: bytes) -> Iterator[tuple[float, bytes]]:
    """Each page, and when a live client would have it complete."""
    said = 0.0
    for page in OggPages().receive(ogg):
        assert isinstance(page, Page)
        said += page.sec
        yield said, page.content


def sounds(ogg: bytes) -> Iterator[tuple[float, Samples]]:
    """What each page says, and when it comes."""
    stream = OpusInput()
    for at, content in timed(ogg):
        for sound in stream.receive(content):
            assert not isinstance(sound, ProtocolError)
            yield at, sound


def whole_frames(ogg: bytes) -> int:
    return sum(len(sound) for _, sound in sounds(ogg)) // FRAME_SAMPLES


@pytest.fixture
async def url(call_manager: CallManager) -> AsyncIterator[str]:
    async with moshi_server(call_manager, lambda query: SETTINGS) as url:
        yield url


async def send_live(client: MoshiClient, pages: Iterable[bytes]) -> None:
    """Each page once the sound before it came back, but for a few frames: as a live client sends them, but on
    the test's own clock, since a page that comes late is a stall, whose lag is cut back."""
    said = 0
    stream = OpusInput()
    for page in pages:
        await client.until(lambda said=said: client.kinds.count(0x01) >= said // FRAME_SAMPLES - FRAMES_AHEAD)
        await client.send(b"\x01" + page)
        said += sum(len(sound) for sound in stream.receive(page) if not isinstance(sound, ProtocolError))


STREAMS = {
    "the field's file": FIELD.read_bytes,
    "ffmpeg's default, 1 s": lambda: by_ffmpeg(1_000),
    "1.5 s": lambda: by_ffmpeg(1_500),
    "2 s": lambda: by_ffmpeg(2_000),
    "480 ms": lambda: by_ffmpeg(480),
    "2 s of 60 ms": lambda: by_ffmpeg(2_000, 60),
    "1 s of 5 ms": lambda: by_ffmpeg(1_000, 5),
    "1 s in stereo of 48 kHz": lambda: by_ffmpeg(1_000, 20, "stereo", 48_000),
    "long packets over several pages": lambda: repacked(by_ffmpeg(1_000, 60), 7),
    "pages filled to the last segment": lambda: repacked(by_ffmpeg(1_000), 100),
}


@pytest.mark.parametrize("name", STREAMS)
def test_no_frame_is_lost(name: str):
    ogg = STREAMS[name]()
    heard = hear_all(sounds(ogg))
    assert heard.lost == 0
    assert len(heard.frames) == whole_frames(ogg)


@pytest.mark.parametrize("name", ["the field's file", "2 s", "long packets over several pages"])
def test_nor_when_the_network_makes_its_pages_late(name: str):
    late = np.random.default_rng(11).uniform(0.0, 0.1, 1_000)
    ogg = STREAMS[name]()
    heard = hear_all((at + late[number], sound) for number, (at, sound) in enumerate(sounds(ogg)))
    assert heard.lost == 0


@pytest.mark.parametrize("name", STREAMS)
def test_but_the_lag_of_a_stall_is_cut_back(name: str):
    """Nothing comes for 3 s, then all of it, then it goes on in time."""
    pages = list(sounds(STREAMS[name]()))
    length = pages[-1][0]
    pages += [(length + at, sound) for at, sound in pages] + [(2 * length + at, sound) for at, sound in pages]
    heard = hear_all((max(at, 8.0) if at > 5.0 else at, sound) for at, sound in pages)
    longest = max(len(sound) for _, sound in pages) / SAMPLE_RATE_HZ
    frames = sum(len(sound) for _, sound in pages) // FRAME_SAMPLES
    assert heard.lost > 0
    assert frames - len(heard.frames) <= (3.0 + longest) / FRAME_SEC + 6
    assert heard.frames[-1][0] <= pages[-1][0] + longest + 0.3


async def test_a_call_hears_all_of_the_fields_pages(url: str, call_manager: CallManager):
    """The first of them; all are in ``test_no_frame_is_lost``."""
    ogg = FIELD.read_bytes()
    assert whole_frames(ogg) == 241
    pages = [content for _, content in timed(ogg)][:PAGES_SENT]
    expected = whole_frames(b"".join(pages))
    assert expected > 50
    async with chat(url, microphone=False) as client:
        await client.until(lambda: client.ready)
        (call,) = call_manager.calls.values()
        await send_live(client, pages)
        await client.until(lambda: client.kinds.count(0x01) >= expected)
        assert client.errors == []
        assert call.snapshot().stats.dropped_heard == 0


async def test_pages_that_are_too_long_are_left_out_with_a_word(url: str):
    """Not silently, and only once."""
    ogg = repacked(by_ffmpeg(1_000), 255)
    pages = [content for _, content in timed(ogg)]
    async with chat(url, microphone=False) as client:
        await client.until(lambda: client.ready)
        for page in [*pages, *pages[2:]]:
            await client.send(b"\x01" + page)
        await client.until(lambda: bool(client.errors))
        await client.send(b"")
        await client.until(lambda: len(client.errors) > 1)
    assert "pages of 5.1 s" in client.errors[0]
    assert "at most 2 s" in client.errors[0]
    assert len(client.errors) == 2


def test_the_files_hold_what_they_say():
    """Of the inputs themselves: how long their pages are."""
    for name, longest in (("the field's file", 0.6), ("2 s", 2.0), ("2 s of 60 ms", 2.0)):
        lengths = [page.sec for page in OggPages().receive(STREAMS[name]()) if isinstance(page, Page)]
        assert max(lengths) == pytest.approx(longest, abs=FRAME_SEC)
    pages = OggPages().receive(STREAMS["long packets over several pages"]())
    assert any(isinstance(page, Page) and page.flags & 1 for page in pages)
