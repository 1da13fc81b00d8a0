"""Writes the face that says a sound as MP4: H.264, 25 pictures a second, and AAC. Blocks.

Picture by picture, so that the length of the sound takes no memory.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.errors import PersonaplexError, why_of
from personaplex_ui.face.drawing import SIZE, FaceDrawing
from personaplex_ui.face.motion import PICTURE_SAMPLES, PICTURES_PER_SEC, IdleMotion, SpeakingMouth

log = logging.getLogger(__name__)

ENCODERS = ("libopenh264", "libx264")
"""Of H.264, which every browser plays. PyAV's own wheels have the second; a PyAV that was built without GPL
has the first or none."""

ENCODER_OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "25", "threads": "1", "g": str(5 * PICTURES_PER_SEC)},
    "libopenh264": {"b": "300000", "g": str(5 * PICTURES_PER_SEC)},
}
AAC_BITS_PER_SEC = 64_000
SEED = 1

NO_ENCODER = (
    "The video cannot be made, since this server's PyAV has no encoder of H.264. Install PyAV from its "
    "wheel on PyPI (pip install --force-reinstall av)."
)
FAILED = "The video could not be made. Please try again; the server's log has the reason."
CANCELLED = "The video is no longer needed."


class FaceFailed(PersonaplexError, code="face_failed"):
    """The face could not be made."""


def write_face(
    path: Path,
    sound: Iterable[Samples],
    seed: int = SEED,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> float:
    """Write the MP4 of a face that says ``sound``, blocks of float32, 24 kHz, mono, of any length; returns
    its seconds. ``seed``: of its blinking. ``is_cancelled``: asked before every picture.

    Under ``path`` there is never half a video: it is written beside it.

    Raises:
        FaceFailed: the encoder or the disk refuses, or it was cancelled; nothing is left on the disk.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            pictures = _write(container, sound, seed, is_cancelled)
        if is_cancelled():
            raise FaceFailed(CANCELLED)
        part.replace(path)
    except (OSError, FFmpegError, ValueError) as error:
        _remove(part)
        log.error("A video of the face failed: %s", why_of(error))
        raise FaceFailed(FAILED) from error
    except BaseException:
        _remove(part)
        raise
    return pictures / PICTURES_PER_SEC


def encoder() -> str:
    """The one that is used.

    Raises:
        FaceFailed: PyAV has none.
    """
    for name in ENCODERS:
        if name in av.codecs_available:
            return name
    raise FaceFailed(NO_ENCODER)


def pictures_of(sound: Iterable[Samples]) -> Iterator[Samples]:
    """``sound`` in blocks of one picture, ``[960]``; the last one ends in silence."""
    rest = np.zeros(0, dtype=np.float32)
    for block in sound:
        rest = np.concatenate([rest, block])
        whole = len(rest) // PICTURE_SAMPLES * PICTURE_SAMPLES
        yield from rest[:whole].reshape(-1, PICTURE_SAMPLES)
        rest = rest[whole:]
    if len(rest):
        yield np.pad(rest, (0, PICTURE_SAMPLES - len(rest)))


def _write(container: Any, sound: Iterable[Samples], seed: int, is_cancelled: Callable[[], bool]) -> int:
    """Returns the number of pictures. ``container``: PyAV's, whose types say little."""
    name = encoder()
    video = container.add_stream(name, rate=PICTURES_PER_SEC, options=ENCODER_OPTIONS[name])
    video.width = video.height = SIZE
    video.pix_fmt = "yuv420p"
    voice = container.add_stream("aac", rate=SAMPLE_RATE_HZ)
    voice.layout = "mono"
    voice.bit_rate = AAC_BITS_PER_SEC
    drawing, mouth, idle = FaceDrawing(), SpeakingMouth(), IdleMotion(seed)
    to_yuv = VideoReformatter()
    count = 0
    for samples in pictures_of(sound):
        if is_cancelled():
            raise FaceFailed(CANCELLED)
        picture = av.VideoFrame.from_ndarray(drawing.draw(mouth.say(samples), idle.next()), format="rgb24")
        picture = to_yuv.reformat(picture, format="yuv420p")
        picture.pts, picture.time_base = count, Fraction(1, PICTURES_PER_SEC)
        container.mux(video.encode(picture))
        container.mux(voice.encode(_sound_frame(samples, count)))
        count += 1
    if count:
        container.mux(video.encode(None))
        container.mux(voice.encode(None))
    return count


def _sound_frame(samples: Samples, number: int) -> av.AudioFrame:
    heard = np.clip(np.nan_to_num(samples), -1.0, 1.0).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(heard[np.newaxis, :], format="fltp", layout="mono")
    frame.sample_rate = SAMPLE_RATE_HZ
    frame.pts, frame.time_base = number * PICTURE_SAMPLES, Fraction(1, SAMPLE_RATE_HZ)
    return frame


def _remove(path: Path) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("What is left of a video cannot be removed: %s", why_of(error))
