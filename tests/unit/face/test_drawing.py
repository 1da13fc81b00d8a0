"""The picture: a ball with features, whose mouth and eyes open as far as they are told."""

import numpy as np
import pytest

from personaplex_ui.face.drawing import SIZE, FaceDrawing
from personaplex_ui.face.motion import Mouth, Pose
from tests.support.face import dark_pixels, mouth_pixels


def test_it_is_the_head_of_the_page_on_white():
    picture = FaceDrawing().draw(Mouth(), Pose())
    assert picture.shape == (SIZE, SIZE, 3)
    assert tuple(picture[2, 2]) == (255, 255, 255)
    red, green, blue = picture[SIZE // 2, SIZE - SIZE // 4].astype(int)
    assert green > 1.5 * red  # teal
    assert blue > 1.5 * red


def test_a_mouth_that_opens_is_larger():
    drawing = FaceDrawing()
    areas = [mouth_pixels(drawing.draw(Mouth(open=part), Pose())) for part in (0.0, 0.3, 0.6, 1.0)]
    assert areas == sorted(areas)
    assert areas[3] > 4 * areas[0] + 500


def test_shut_eyes_are_smaller():
    drawing = FaceDrawing()
    opened = dark_pixels(drawing.draw(Mouth(), Pose()))
    assert dark_pixels(drawing.draw(Mouth(), Pose(eyes=0.08))) < opened - 300


def test_a_pose_moves_the_features_and_not_the_head():
    drawing = FaceDrawing()
    usual = np.array(drawing.draw(Mouth(), Pose()))
    moved = drawing.draw(Mouth(), Pose(right=2.0, down=1.0))
    changed = np.argwhere((usual != moved).any(axis=2))
    assert len(changed) > 100
    assert changed.min() > SIZE // 5
    assert changed.max() < SIZE - SIZE // 5


@pytest.mark.parametrize("glow", [0.0, 1.0])
def test_the_light_around_the_head_grows_with_the_voice(glow: float):
    picture = FaceDrawing().draw(Mouth(glow=glow), Pose())
    coloured = int((picture.min(axis=2) < 250).sum())
    assert coloured == pytest.approx({0.0: 149_000, 1.0: 189_000}[glow], rel=0.02)
