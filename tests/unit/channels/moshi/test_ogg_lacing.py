"""Pages whose table of segments says too little for their packet."""

import struct

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.channels.moshi.ogg_lacing import LONGEST_BYTES, is_whole, mend
from personaplex_ui.channels.moshi.opus import OpusInput
from tests.support.sounds import tone
from tests.unit.channels.moshi.test_opus import head, page, pages_of, receive

FRAME_60_MS = 1_440


def packets_of(sound: Samples, bit_rate: int) -> list[bytes]:
    """60 ms each, all of one length."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.format, encoder.layout = SAMPLE_RATE_HZ, "flt", "mono"  # type: ignore[assignment]
    encoder.bit_rate = bit_rate
    encoder.options = {"frame_duration": "60", "vbr": "off"}
    packets: list[bytes] = []
    for frame in sound[: len(sound) // FRAME_60_MS * FRAME_60_MS].reshape(-1, 1, FRAME_60_MS):
        heard = av.AudioFrame.from_ndarray(frame, "flt", "mono")
        heard.sample_rate = SAMPLE_RATE_HZ
        packets += [bytes(packet) for packet in encoder.encode(heard)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return packets


def checksum(page: bytes) -> int:
    """Bit by bit, as RFC 3533 has it."""
    remainder = 0
    for byte in page:
        remainder ^= byte << 24
        for _ in range(8):
            remainder = remainder << 1 ^ (0x104C11DB7 if remainder & 1 << 31 else 0)
    return remainder


def wrong_page(packet: bytes, number: int) -> bytes:
    """As fujielab-moshi-client writes it."""
    header = b"OggS" + struct.pack("<BBqIII", 0, 0, 0, 42, number, 0)
    page = header + bytes([1, min(len(packet), 255)]) + packet
    return page[:22] + struct.pack("<I", checksum(page)) + page[26:]


def loudness(sound: Samples) -> float:
    return float(np.sqrt(np.mean(sound[SAMPLE_RATE_HZ // 2 :] ** 2)))


@pytest.mark.parametrize("bit_rate", [24_000, 33_866, 34_400, 48_000, 128_000])
@pytest.mark.parametrize("in_one_piece", [True, False])
def test_their_sound_is_heard_whole(bit_rate: int, in_one_piece: bool) -> None:
    check_heard_whole(packets_of(tone(2.0), bit_rate), in_one_piece)


@pytest.mark.parametrize("in_one_piece", [True, False])
def test_of_a_client_that_did_so_before_255_bytes_are_a_packet(in_one_piece: bool) -> None:
    packets = packets_of(tone(2.0), 34_400)[:3] + packets_of(tone(2.0), 34_000)[3:]
    assert len(packets[-1]) == 255
    check_heard_whole(packets, in_one_piece)


def check_heard_whole(packets: list[bytes], in_one_piece: bool) -> None:
    pages = [head(), *(wrong_page(packet, number) for number, packet in enumerate(packets))]
    stream = OpusInput()
    results = [receive(piece, stream) for piece in ([b"".join(pages)] if in_one_piece else pages)]
    assert not any(faults for _, faults in results)
    sound = np.concatenate([heard for heard, _ in results])
    assert len(sound) == pytest.approx(len(packets) * FRAME_60_MS, abs=FRAME_60_MS)
    assert loudness(sound) == pytest.approx(loudness(tone(2.0)), rel=0.05)


def test_junk_behind_a_page_stays_junk() -> None:
    """Its checksum does not fit."""
    packet = packets_of(tone(2.0), 48_000)[3]
    broken = bytearray(wrong_page(packet, 3))
    broken[-1] ^= 1
    sound, faults = receive(head() + bytes(broken) + head())
    assert len(sound) == 0
    assert "not an Ogg page" in faults[0]


def test_a_packet_that_goes_on_in_the_next_page_is_put_together() -> None:
    """As a right encoder writes it, with the same table."""
    packets = packets_of(tone(2.0), 48_000)
    pages = [head()]
    for packet in packets:
        pages += [page([255], packet[:255]), page([len(packet) - 255], packet[255:], flags=1)]
    sound, faults = receive(b"".join(pages))
    assert faults == []
    assert loudness(sound) == pytest.approx(loudness(tone(2.0)), rel=0.05)


@given(st.binary(min_size=60, max_size=600))
def test_the_checksum_is_that_of_ogg(content: bytes) -> None:
    whole = wrong_page(content, 0)
    assert is_whole(whole)
    assert not is_whole(whole[:-1] + bytes([whole[-1] ^ 1]))


@given(st.binary(min_size=255, max_size=2_000))
def test_a_mended_page_holds_its_packet(packet: bytes) -> None:
    (mended,) = pages_of(mend(wrong_page(packet, 0)))
    assert mended.packets == ((packet, True, True),)


def test_nothing_very_long_is_looked_at() -> None:
    assert not is_whole(wrong_page(bytes(LONGEST_BYTES), 0))
