"""The picture of a face, in the look of the page's (``stage_live.html``, ``live.css``): a lit ball with eyes,
brows and a mouth. Pure: shapes in units of a head of 200 by 200, as in the page's SVG, and numbers out.

The ball is drawn once for each strength of its glow; a picture changes only the pixels of the features.
"""

import functools

import numpy as np
import numpy.typing as npt

from personaplex_ui.face.motion import Mouth, Pose

SIZE = 512
"""Pixels, both ways."""

CANVAS_UNITS = 296.0
PIXEL = CANVAS_UNITS / SIZE
"""Units of one pixel."""

GLOWS = 12
HEAD = 100.0
"""Radius of the head, whose centre is at (100, 100)."""

BACKGROUND = (255, 255, 255)
LIGHT, MAIN, DEEP, HALO = (153, 246, 228), (20, 184, 166), (15, 118, 110), (20, 184, 166)
SHADE, WHITE = (4, 60, 56), (255, 255, 255)
DARK, LIPS = (6, 47, 44), (91, 18, 32)
STROKE = 5.0

Plane = npt.NDArray[np.floating]
Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]


class FaceDrawing:
    """Draws one picture after the other. Not for several threads at once."""

    def __init__(self) -> None:
        self._picture: Picture = np.array(_ball(0))

    def draw(self, mouth: Mouth, pose: Pose) -> Picture:
        """The picture, RGB of shape ``[512, 512, 3]``; it is overwritten by the next one."""
        np.copyto(self._picture, _ball(round(mouth.glow * (GLOWS - 1))))
        self._draw_brows(pose)
        self._draw_eyes(pose)
        self._draw_mouth(mouth, pose)
        return self._picture

    def _draw_mouth(self, mouth: Mouth, pose: Pose) -> None:
        """As ``mouthPath`` of the page: two parabolas that meet in the corners."""
        opened, wide = min(1.0, mouth.open * 1.1), mouth.wide
        half = 17.0 + 13.0 * wide - 5.0 * opened * (1.0 - wide)
        closed = (1.0 - opened) ** 2  # a closed mouth smiles
        corner = 134.0 - 6.0 * closed
        upper = 130.0 - 8.0 * opened + 9.0 * closed
        lower = 145.0 + 34.0 * opened * (1.0 - 0.35 * wide)
        x, y, part = self._part(100.0, 142.0, 38.0, 34.0, pose)
        across = np.clip((x - 100.0) / half, -1.0, 1.0)
        bend = (1.0 - across * across) / 2.0
        aside = np.abs(x - 100.0) - half
        top = _distance(y, corner + (upper - corner) * bend, (upper - corner) * -across / half)
        bottom = _distance(y, corner + (lower - corner) * bend, (lower - corner) * -across / half)
        lines = np.hypot(np.minimum(np.abs(top), np.abs(bottom)), np.maximum(0.0, aside))
        _paint(part, LIPS, _covered(np.maximum(np.maximum(-top, bottom), aside)))
        _paint(part, DARK, _covered(lines - STROKE / 2.0))

    def _draw_eyes(self, pose: Pose) -> None:
        wide, high = 8.0, 11.0 * max(pose.eyes, 0.05)
        for centre in (70.0, 130.0):
            x, y, part = self._part(centre, 88.0, 10.0, 13.0, pose)
            from_centre = np.hypot((x - centre) / wide, (y - 88.0) / high)
            _paint(part, DARK, _covered((from_centre - 1.0) * min(wide, high)))

    def _draw_brows(self, pose: Pose) -> None:
        for left, start, middle, end in ((56.0, 66.0, 56.0, 63.0), (116.0, 63.0, 56.0, 66.0)):
            x, y, part = self._part(left + 14.0, 62.0, 19.0, 10.0, pose)
            along = np.clip((x - left) / 28.0, 0.0, 1.0)
            line = (1 - along) ** 2 * start + 2 * along * (1 - along) * middle + along**2 * end
            slope = (2 * (1 - along) * (middle - start) + 2 * along * (end - middle)) / 28.0
            beyond = np.maximum(0.0, np.abs(x - left - 14.0) - 14.0)
            _paint(part, DARK, _covered(np.hypot(_distance(y, line, slope), beyond) - STROKE / 2.0))

    def _part(
        self, x: float, y: float, half_wide: float, half_high: float, pose: Pose
    ) -> tuple[Plane, Plane, Picture]:
        """The pixels around ``(x, y)`` of the face: their places in the face, ``[1, w]`` and ``[h, 1]``, and
        themselves, which can be painted."""
        left, right = _pixel(x - half_wide + pose.right), _pixel(x + half_wide + pose.right)
        top, bottom = _pixel(y - half_high + pose.down), _pixel(y + half_high + pose.down)
        places = _places()
        columns = places[left:right][np.newaxis, :] - np.float32(pose.right)
        rows = places[top:bottom][:, np.newaxis] - np.float32(pose.down)
        return columns, rows, self._picture[top:bottom, left:right]


def _pixel(unit: float) -> int:
    return round((unit - HEAD + CANVAS_UNITS / 2.0) / PIXEL)


@functools.cache
def _places() -> Plane:
    """The units of the middle of each pixel, along either side."""
    return ((np.arange(SIZE) + 0.5) * PIXEL + HEAD - CANVAS_UNITS / 2.0).astype(np.float32)


def _distance(y: Plane, line: Plane, slope: Plane) -> Plane:
    """How far ``y`` is below the curve ``line``, nearly at a right angle to it."""
    return (y - line) / np.sqrt(1.0 + slope * slope)


def _covered(distance: Plane) -> Plane:
    """How much of a pixel a shape covers whose edge is ``distance`` units away, negative inside."""
    return np.clip(0.5 - distance / PIXEL, 0.0, 1.0)


def _paint(part: Picture, colour: Colour, share: Plane) -> None:
    mixed = part + share[..., np.newaxis] * (np.array(colour, dtype=np.float32) - part)
    np.copyto(part, (mixed + 0.5).astype(np.uint8))


# The ball ------------------------------------------------------------------------------------------


@functools.cache
def _ball(step: int) -> Picture:
    """The head without features, with its glow at ``step`` of ``GLOWS``: 0.8 MB each."""
    glow = step / (GLOWS - 1)
    x, y = _places()[np.newaxis, :], _places()[:, np.newaxis]
    from_centre = np.hypot(x - HEAD, y - HEAD)
    picture = np.empty((SIZE, SIZE, 3), dtype=np.float32)
    picture[:] = BACKGROUND
    _mix(picture, HALO, 0.14 * _covered(from_centre - 126.0 * (1.0 + 0.13 * glow)))
    _mix(picture, HALO, 0.24 * _covered(from_centre - 110.0 * (1.0 + 0.1 * glow)))
    head = _head(x, y)
    inside = _covered(from_centre - HEAD)[..., np.newaxis]
    picture += inside * (head - picture)
    ball = (picture + 0.5).astype(np.uint8)
    ball.setflags(write=False)
    return ball


def _head(x: Plane, y: Plane) -> Plane:
    """The gradients of the page's orb with a face, as CSS computes them."""
    head = _gradient(np.hypot(x - 66.0, y - 56.0) / 196.7, 0.46)
    along = ((x - HEAD) * 0.342 + (y - HEAD) * 0.940) / 359.0 + 0.5
    head += 0.55 * (_gradient(along, 0.55) - head)
    _mix(head, SHADE, 0.45 * np.clip((np.hypot(x - 90.0, y - 84.0) / 159.9 - 0.55) / 0.45, 0.0, 1.0))
    _mix(head, WHITE, 0.6 * np.clip(1.0 - np.hypot(x - 66.0, y - 54.0) / 198.0 / 0.45, 0.0, 1.0))
    return head


def _gradient(part: Plane, middle: float) -> Plane:
    """From LIGHT at 0 over MAIN at ``middle`` to DEEP at 1."""
    stops = [0.0, middle, 1.0]
    channels = [
        np.interp(part, stops, [light, main, deep])
        for light, main, deep in zip(LIGHT, MAIN, DEEP, strict=True)
    ]
    return np.stack(channels, axis=-1).astype(np.float32)


def _mix(picture: Plane, colour: Colour, share: Plane) -> None:
    picture += share[..., np.newaxis] * (np.array(colour, dtype=np.float32) - picture)
