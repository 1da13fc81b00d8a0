"""Measures a drawn face in its pixels, and a film of one in its pictures."""

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import Samples
from personaplex_ui.face.motion import PICTURE_SAMPLES

Picture = npt.NDArray[np.uint8]


def mouth_pixels(picture: Picture) -> int:
    """The pixels inside the lips: nothing else of the face is red."""
    signed = picture.astype(np.int16)
    return int((signed[..., 0] > signed[..., 1] + 15).sum())


def dark_pixels(picture: Picture) -> int:
    return int((picture.max(axis=2) < 80).sum())


def mouth_areas(path: Path) -> npt.NDArray[np.float64]:
    """Of each picture of a film."""
    with av.open(str(path)) as film:
        pictures = (frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in film.decode(video=0))
        return np.array([mouth_pixels(picture) for picture in pictures], dtype=np.float64)


def envelope(samples: Samples) -> npt.NDArray[np.float64]:
    """The root mean square of the sound in each picture."""
    whole = np.pad(samples, (0, -len(samples) % PICTURE_SAMPLES)).astype(np.float64)
    return np.sqrt((whole.reshape(-1, PICTURE_SAMPLES) ** 2).mean(axis=1))
