"""Whatever stands in a file, reading it ends in sound or in a sentence."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from personaplex_ui.audio.files.clip_file import decode_clip
from personaplex_ui.errors import InvalidInput
from tests.support.field_sounds import SPEECH, chunk, encoded, fmt, pcm16, riff

SOUND = SPEECH[:36_000]
KINDS = {
    "a.aac": "aac",
    "a.m4a": "aac",
    "a.mp3": "libmp3lame",
    "a.ogg": "libopus",
    "a.webm": "libopus",
    "a.flac": "flac",
    "a.w64": "pcm_s16le",
    "a.aiff": "pcm_s16be",
    "a.caf": "pcm_s16le",
}
MUTATIONS = 25


def mutated(content: bytes, random: Random) -> bytes:
    changed = bytearray(content[: int(len(content) * random.choice([1.0, 1.0, random.random()]))])
    reach = min(len(changed), random.choice([64, 600, 5_000, 10**7]))
    for _ in range(random.choice([1, 3, 20, 200]) if reach else 0):
        changed[random.randrange(reach)] = random.choice([0, 255, random.randrange(256)])
    return bytes(changed)


def read_mutated(path: Path, content: bytes) -> None:
    random = Random(len(content))
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(content, random))
        try:
            clip = decode_clip(path, 20.0)
        except InvalidInput:
            continue
        assert 0 < clip.length_sec <= 20.0
        assert np.isfinite(clip.samples).all()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("channels", [1, 8])
def test_of_every_kind(tmp_path: Path, name: str, channels: int) -> None:
    if channels == 8 and name == "a.mp3":
        channels = 2
    path = encoded(tmp_path / name, KINDS[name], SOUND, channels=channels)
    read_mutated(path, path.read_bytes())


def test_wav_with_a_chunk_without_pad(tmp_path: Path) -> None:
    comment = chunk(b"LIST", b"INFOISFT" + b"x" * 29, pad=False)
    content = riff(chunk(b"fmt ", fmt()), comment, chunk(b"data", pcm16(SOUND)))
    read_mutated(tmp_path / "a.wav", content)
