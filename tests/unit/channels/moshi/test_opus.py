"""Ogg/Opus streams: sound by numbers, pages cut anywhere, and junk of all kinds."""

import struct
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_ui.audio.frames import FRAME_SAMPLES, Samples
from personaplex_ui.channels.moshi.opus import OggPages, OpusInput, OpusOutput, Page, packet_sec
from personaplex_ui.errors import ProtocolError
from tests.support.sounds import tone


def encode(sound: Samples, output: OpusOutput | None = None) -> bytes:
    output = output or OpusOutput()
    return b"".join(output.append(frame) for frame in sound.reshape(-1, FRAME_SAMPLES))


def receive(data: bytes, stream: OpusInput | None = None) -> tuple[Samples, list[str]]:
    """The sound and the complaints."""
    results = list((stream or OpusInput()).receive(data))
    sound = [result for result in results if not isinstance(result, ProtocolError)]
    for samples in sound:
        assert samples.dtype == np.float32
        assert samples.ndim == 1
        assert np.all(np.abs(samples) <= 1.0)
    faults = [str(result) for result in results if isinstance(result, ProtocolError)]
    return np.concatenate([np.zeros(0, dtype=np.float32), *sound]), faults


def pages_of(data: bytes) -> list[Page]:
    pages = list(OggPages().receive(data))
    return [page for page in pages if isinstance(page, Page)]


def page(lacing: Sequence[int], body: bytes, flags: int = 0, serial: int = 42) -> bytes:
    header = b"OggS" + struct.pack("<BBqIII", 0, flags, 0, serial, 9, 0)
    return header + bytes([len(lacing), *lacing]) + body


def head(channels: int = 1, mapping: int = 0, name: bytes = b"OpusHead") -> bytes:
    packet = name + struct.pack("<BBHIhB", 1, channels, 312, 48_000, 0, mapping)
    return page([len(packet)], packet, flags=2)


TONE = encode(tone(2.0))
SILK_60_MS = bytes([3 << 3])
"""A packet of one byte: 60 ms of which nothing is known."""

# Sound -------------------------------------------------------------------------------------------------


def test_a_tone_comes_back_as_itself():
    sound, faults = receive(TONE)
    assert faults == []
    assert len(sound) == len(tone(2.0))
    settled = slice(12_000, 36_000)
    ratios_db: list[float] = []
    for delay in range(600):  # the codec's, in samples
        kept = sound[12_000 + delay : 36_000 + delay]
        error = tone(2.0)[settled] - kept
        ratios_db.append(10 * np.log10(np.sum(tone(2.0)[settled] ** 2) / np.sum(error**2)))
    assert max(ratios_db) > 25.0


def test_silence_stays_silent():
    sound, _ = receive(encode(np.zeros(10 * FRAME_SAMPLES, dtype=np.float32)))
    assert len(sound) == 10 * FRAME_SAMPLES
    assert np.max(np.abs(sound)) < 1e-4


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -3.0])
def test_samples_that_are_no_sound_do_no_harm(value: float):
    output = OpusOutput()
    broken = np.full(FRAME_SAMPLES, value, dtype=np.float32)
    sound, faults = receive(output.append(broken) + encode(tone(2.0), output))
    assert faults == []
    assert np.all(np.isfinite(sound))
    assert 0.2 < np.sqrt(np.mean(sound[-24_000:] ** 2)) < 0.4


def test_a_view_of_another_array_can_be_sent():
    twice = np.repeat(tone(2.0), 2)
    output = OpusOutput()
    assert encode(tone(2.0)) == b"".join(
        output.append(frame) for frame in twice[::2].reshape(-1, FRAME_SAMPLES)
    )


def test_every_frame_makes_whole_pages_at_once():
    output = OpusOutput()
    for number, frame in enumerate(tone(2.0).reshape(-1, FRAME_SAMPLES)):
        pages = pages_of(output.append(frame))
        assert round(sum(page.sec for page in pages), 6) == 0.08
        assert pages[0].begins_stream == (number == 0)


# Pieces ------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=60))
def test_pieces_of_any_size_make_the_same_sound(sizes: list[int]):
    stream = OpusInput()
    pieces: list[Samples] = []
    start = 0
    for size in [*sizes, len(TONE)]:
        sound, faults = receive(TONE[start : start + size], stream)
        assert faults == []
        pieces.append(sound)
        start += size
    np.testing.assert_array_equal(np.concatenate(pieces), receive(TONE)[0])


def test_a_packet_may_go_on_in_the_next_page():
    packet = SILK_60_MS + bytes(400)
    halves = page([255], packet[:255]), page([146], packet[255:], flags=1)
    sound, faults = receive(head() + b"".join(halves))
    assert faults == []
    assert len(sound) == 1_440


def test_a_second_stream_may_begin_at_any_time():
    stream = OpusInput()
    for data in (TONE, encode(tone(2.0, 880.0)), TONE):
        sound, faults = receive(data, stream)
        assert faults == []
        np.testing.assert_array_equal(sound, receive(data)[0])


def test_a_stream_may_be_joined_in_its_middle():
    """Sound from before the handshake is not heard, and the stream's first page with it."""
    later = b"".join(page.content for page in pages_of(TONE)[10:])
    sound, faults = receive(later)
    assert faults == []
    assert np.sqrt(np.mean(sound**2)) > 0.2


def test_two_channels_become_one():
    sound, faults = receive(head(channels=2) + page([1], SILK_60_MS))
    assert (len(sound), faults) == (1_440, [])


def test_how_some_encoders_end_a_stream_is_no_fault():
    for end in (page([0], b"", flags=4), page([], b"", flags=4)):
        sound, faults = receive(TONE + end + TONE)
        assert faults == []
        assert len(sound) == 2 * len(tone(2.0))


# Junk --------------------------------------------------------------------------------------------------

JUNK = [
    b"\0",
    b"junk",
    b"OggX and on",
    b"OggS\x01 of another version",
    b"O" * 60_000,
    b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(500),
    b"\x1aE\xdf\xa3webm" + bytes(300),
    np.random.default_rng(1).bytes(65_000),
]


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: f"{junk[:6]!r}")
def test_junk_is_left_out_with_a_sentence_and_the_stream_goes_on(junk: bytes):
    pages = [page.content for page in pages_of(TONE)]
    stream = OpusInput()
    before, faults = receive(b"".join(pages[:20]), stream)
    assert faults == []
    after, faults = receive(junk + b"".join(pages[20:]), stream)
    assert [fault for fault in faults if "not an Ogg page" in fault] == faults
    assert len(faults) == 1
    np.testing.assert_array_equal(np.concatenate([before, after]), receive(TONE)[0])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (page([50], b"\x03" + bytes(49)), "cannot be decoded"),
        (page([1, 0, 1], SILK_60_MS * 2), "empty Opus packet"),
        (page([1], SILK_60_MS, flags=1), "beginning is missing"),
        (head(name=b"\x01vorbis\0"), "must be an Ogg stream of Opus"),
        (head(channels=6, mapping=1), "one or two channels"),
        (head(channels=0), "one or two channels"),
        (page([8], b"OpusHead", flags=2), "must be an Ogg stream of Opus"),
        (page([], b"", flags=2), "must be an Ogg stream of Opus"),
        (page([255] * 255, bytes(255 * 255)), "too long for Opus"),
    ],
)
def test_a_page_that_cannot_be_used_is_refused_and_the_next_one_heard(data: bytes, words: str):
    stream = OpusInput()
    receive(TONE, stream)
    sound, faults = receive(data, stream)
    assert len(sound) == 0
    assert len(faults) == 1
    assert words in faults[0]
    sound, faults = receive(TONE, stream)
    assert faults == []
    np.testing.assert_array_equal(sound, receive(TONE)[0])


def test_the_pages_of_a_stream_that_is_no_opus_are_refused_once():
    stream = OpusInput()
    _, faults = receive(head(name=b"\x01vorbis\0") + page([1], SILK_60_MS) * 30, stream)
    assert len(faults) == 1
    sound, faults = receive(page([1], SILK_60_MS, serial=43), stream)
    assert (len(sound), faults) == (1_440, [])


def test_a_packet_without_an_end_is_not_collected():
    stream = OpusInput()
    first = page([255] * 100, bytes(25_500))
    go_on = page([255] * 100, bytes(25_500), flags=1)
    faults = [receive(data, stream)[1] for data in (first, go_on, go_on, go_on)]
    assert [len(found) for found in faults] == [0, 0, 1, 1]
    assert "too long for Opus" in faults[2][0]


@pytest.mark.parametrize("kept", [5, 20, 27, 28, 100])
def test_a_page_cut_short_costs_nothing_of_the_next_one(kept: int):
    pages = [page.content for page in pages_of(TONE)]
    sound, faults = receive(b"".join([*pages[:20], pages[20][:kept], *pages[21:]]))
    assert faults == [f"The audio (01) holds {kept} bytes that are not an Ogg page; they were skipped."]
    assert len(sound) == len(tone(2.0)) - FRAME_SAMPLES // 2


def test_a_header_that_promises_too_much_swallows_nothing():
    """64 KB are sixteen seconds of a usual stream."""
    stream = OpusInput()
    receive(page([255] * 255, b"", flags=0), stream)
    sound, faults = receive(TONE, stream)
    assert len(faults) == 1
    np.testing.assert_array_equal(sound, receive(TONE)[0])


def test_what_may_not_be_heard_is_not_decoded():
    half_a_minute = page([1] * 255, bytes([3 << 3 | 1]) * 255)
    asked: list[float] = []

    def may_hear(sec: float) -> bool:
        asked.append(round(sec, 6))
        return sec < 1.0

    results = list(OpusInput().receive(head() + half_a_minute + page([1], SILK_60_MS), may_hear))
    assert asked == [30.6, 0.06]
    assert [len(sound) for sound in results if not isinstance(sound, ProtocolError)] == [1_440]


@pytest.mark.parametrize("header", [b"OpusHead", b"OpusTags"])
def test_a_header_packet_has_no_sound(header: bytes):
    """The others' length is told by tests/unit/audio/test_opus_packet.py."""
    assert (packet_sec(header), packet_sec(SILK_60_MS)) == (0.0, 0.06)


def any_page(lacing: list[int], body: bytes, flags: int) -> bytes:
    return page(lacing, body[: sum(lacing)].ljust(sum(lacing), SILK_60_MS), flags)


PIECES = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([page.content for page in pages_of(TONE)[:6]]),
    st.just(b"OggS\0"),
    st.builds(any_page, st.lists(st.integers(0, 255), max_size=4), st.binary(max_size=60), st.integers(0, 7)),
)


@settings(max_examples=150)
@given(st.lists(PIECES, max_size=8))
def test_whatever_comes_sound_can_be_heard_afterwards(pieces: list[bytes]):
    stream = OpusInput()
    for piece in pieces:
        receive(piece, stream)
    receive(TONE, stream)  # its first page may be taken for the rest of what came before
    sound, faults = receive(TONE, stream)
    assert faults == []
    np.testing.assert_array_equal(sound, receive(TONE)[0])
