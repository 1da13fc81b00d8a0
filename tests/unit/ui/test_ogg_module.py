"""What the page's Ogg module writes, read by decoders that are not ours, and the other way round."""

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import sphn

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.channels.moshi.opus import OpusInput
from personaplex_ui.errors import ProtocolError
from tests.support.sounds import tone

MODULE = Path(__file__).parents[3] / "personaplex_ui" / "ui" / "static" / "page" / "ogg.mjs"
SCRIPT = """
import { readFileSync, writeFileSync } from "node:fs";
const [, module, input, output, skipped] = process.argv;
const { OggDemuxer, OggMuxer, joined } = await import(module);
const given = readFileSync(input);
const packets = input.endsWith(".json")
  ? JSON.parse(given).map((hex) => Uint8Array.from(Buffer.from(hex, "hex")))
  : new OggDemuxer().receive(given);
const muxer = new OggMuxer({ serial: 77, skipped: Number(skipped) });
writeFileSync(output, joined([muxer.head(), ...packets.map((packet) => muxer.page([packet]))]));
"""

rng = random.Random(12)


def written_by_the_module(given: bytes | list[bytes], folder: Path) -> Path:
    """An Ogg file with the packets of an Ogg file, or with these packets."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed.")
    source = folder / ("given.ogg" if isinstance(given, bytes) else "given.json")
    text = given if isinstance(given, bytes) else json.dumps([packet.hex() for packet in given]).encode()
    source.write_bytes(text)
    written = folder / "written.ogg"
    files = [str(source), str(written), str(samples_to_skip(given) if isinstance(given, bytes) else 0)]
    command = [node, "--input-type=module", "-e", SCRIPT, MODULE.as_uri(), *files]
    subprocess.run(command, check=True, timeout=50)
    return written


def samples_to_skip(ogg: bytes) -> int:
    """What its header tells a decoder to leave out at first."""
    at = ogg.index(b"OpusHead") + 10
    return int.from_bytes(ogg[at : at + 2], "little")


def encoded(sound: Samples) -> bytes:
    writer: Any = sphn.OpusStreamWriter(SAMPLE_RATE_HZ)
    frames = sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return b"".join(bytes(writer.append_pcm(frame)) for frame in frames)


def decoded(path: Path) -> Samples:
    """By FFmpeg, mono, 48 kHz."""
    with av.open(path) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(frames, axis=1).reshape(-1).astype(np.float32)


def packets_of(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def with_length(length: int) -> bytes:
    """A packet that says it has 20 ms of sound."""
    return bytes([0x78]) + rng.randbytes(length - 1)


@pytest.mark.parametrize(
    "lengths",
    [
        [1, 2, 254, 255, 256, 509, 510, 511, 765, 1020, 1275],
        [255 * n for n in range(1, 40)],
        [rng.randint(1, 1_275) for _ in range(300)],
        [rng.randint(1, 20_000) for _ in range(40)],
    ],
)
def test_ffmpeg_finds_every_packet_whatever_its_length(lengths: list[int], tmp_path: Path):
    packets = [with_length(length) for length in lengths]
    assert packets_of(written_by_the_module(packets, tmp_path)) == packets


def test_a_real_stream_sounds_the_same_once_taken_apart_and_written_anew(tmp_path: Path):
    original = tmp_path / "original.ogg"
    original.write_bytes(encoded(tone(2.0)))
    written = written_by_the_module(original.read_bytes(), tmp_path)
    sound, expected = decoded(written), decoded(original)
    assert rms_dbfs(sound) > -30
    shared = min(len(sound), len(expected))
    assert shared > 1.9 * 48_000
    np.testing.assert_array_equal(sound[:shared], expected[:shared])


def test_our_server_reads_what_it_writes(tmp_path: Path):
    written = written_by_the_module(encoded(tone(2.0)), tmp_path)
    heard: list[Samples] = []
    for sound in OpusInput().receive(written.read_bytes()):
        assert not isinstance(sound, ProtocolError)
        heard.append(sound)
    assert len(np.concatenate(heard)) == pytest.approx(2.0 * SAMPLE_RATE_HZ, abs=FRAME_SAMPLES)
    assert rms_dbfs(np.concatenate(heard)) == pytest.approx(rms_dbfs(tone(2.0)), abs=1.0)
