"""A-law against FFmpeg's codec, for every code and every 16-bit number."""

from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from personaplex_ui.audio.a_law import SILENT_CODE, decode, encode
from tests.support.sounds import tone

EVERY_NUMBER = np.arange(-32768, 32768, dtype=np.int16)
EVERY_CODE = bytes(range(256))


def ffmpeg_decoded(codes: bytes) -> npt.NDArray[np.int32]:
    codec = av.CodecContext.create("pcm_alaw", "r")
    assert isinstance(codec, av.AudioCodecContext)
    codec.sample_rate, codec.layout = 8_000, "mono"
    (frame,) = codec.decode(av.Packet(codes))
    assert frame.format.name == "s16"
    return frame.to_ndarray().reshape(-1).astype(np.int32)


def ffmpeg_encoded(pcm: npt.NDArray[np.int16]) -> bytes:
    codec = av.CodecContext.create("pcm_alaw", "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.sample_rate, codec.layout, codec.format = 8_000, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = 8_000
    packets: list[Any] = [*codec.encode(frame), *codec.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def pcm_of(codes: bytes) -> npt.NDArray[np.int32]:
    return np.rint(decode(codes) * 32768).astype(np.int32)


def test_every_code_means_what_it_means_to_ffmpeg() -> None:
    assert np.array_equal(pcm_of(EVERY_CODE), ffmpeg_decoded(EVERY_CODE))


def test_every_number_is_encoded_at_least_as_well_as_by_ffmpeg() -> None:
    """FFmpeg leaves out two bits first, so that -1 becomes -8; ours is the nearest level."""
    wanted = EVERY_NUMBER.astype(np.int32)
    ours = encode(np.divide(EVERY_NUMBER, 32768, dtype=np.float32))
    theirs = ffmpeg_encoded(EVERY_NUMBER)
    our_error = np.abs(pcm_of(ours) - wanted)
    assert np.all(our_error <= np.abs(ffmpeg_decoded(theirs) - wanted))
    # FFmpeg's code, or the next one:
    levels = np.unique(pcm_of(EVERY_CODE))
    ours_at = np.searchsorted(levels, pcm_of(ours))
    assert np.abs(ours_at - np.searchsorted(levels, ffmpeg_decoded(theirs))).max() <= 1
    assert np.mean(np.frombuffer(ours, np.uint8) != np.frombuffer(theirs, np.uint8)) < 0.05


def test_what_was_decoded_is_encoded_to_what_it_was() -> None:
    assert encode(decode(EVERY_CODE)) == EVERY_CODE


def test_silence_is_the_faintest_level() -> None:
    assert encode(np.zeros(160, dtype=np.float32)) == bytes([SILENT_CODE]) * 160
    assert np.max(np.abs(decode(bytes([SILENT_CODE]) * 160))) == 8 / 32768


def test_a_tone_keeps_its_level_and_37_db_of_it_are_clean() -> None:
    sound = tone(1.0, rate_hz=8_000)
    error = decode(encode(sound)) - sound
    assert 10 * np.log10(np.mean(sound**2) / np.mean(error**2)) > 37


@pytest.mark.parametrize(("value", "heard"), [(2.0, 32256), (-2.0, -32256), (np.inf, 32256), (np.nan, 8)])
def test_what_is_too_loud_or_no_number_harms_nothing(value: float, heard: int) -> None:
    assert pcm_of(encode(np.full(3, value, dtype=np.float32))).tolist() == [heard] * 3


def test_nothing_gives_nothing() -> None:
    assert encode(np.zeros(0, dtype=np.float32)) == b""
    assert len(decode(b"")) == 0
