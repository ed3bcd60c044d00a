"""Masks become exact polygons; joints are visible, covered or out of the frame as drawn."""

import numpy as np
import pycocotools.mask as mask_util
import pytest

from nonlocal_det.synthetic import scene
from nonlocal_det.synthetic.canvas import BodyPart, Canvas, draw_shape
from nonlocal_det.synthetic.coco_records import mask_to_counts, mask_to_polygons
from nonlocal_det.synthetic.person import PersonPainter, visible_keypoints
from nonlocal_det.synthetic.pose import JOINT, Pose, sample_pose
from nonlocal_det.synthetic.scene import draw_scene


def ring(outer: int, inner: int) -> np.ndarray:
    distance = np.abs(np.arange(21) - 10)
    square = np.maximum(distance[:, None], distance[None])
    return (square <= outer) & (square > inner)


MASKS = {
    "one pixel": np.pad([[True]], ((3, 5), (2, 0))),
    "whole image": np.ones((4, 7), bool),
    "one row": np.pad(np.ones((1, 6), bool), 1),
    "pixels that touch at corners": np.indices((6, 6)).sum(0) % 2 == 0,
    "hole": ring(6, 3),
    "hole of one pixel": ring(2, 0),
    "island in a hole": ring(9, 6) | ring(3, -1),
    "ring in a ring": ring(10, 8) | ring(5, 2),
    "noise": np.random.default_rng(0).random((24, 31)) < 0.5,
    "dense noise": np.random.default_rng(1).random((24, 31)) < 0.85,
}


@pytest.mark.parametrize("name", MASKS)
def test_polygons_and_counts_decode_to_the_very_mask(name: str) -> None:
    mask = MASKS[name]
    polygons = mask_to_polygons(mask)
    assert all(len(polygon) >= 8 for polygon in polygons)
    decoded = mask_util.decode(mask_util.merge(mask_util.frPyObjects(polygons, *mask.shape)))
    np.testing.assert_array_equal(decoded, mask)
    counts = mask_to_counts(mask)
    assert sum(counts["counts"]) == mask.size
    np.testing.assert_array_equal(
        mask_util.decode(mask_util.frPyObjects(counts, *mask.shape)), mask
    )


def painted(x: float) -> tuple[Canvas, Pose]:
    """A person 90 pixels tall in the middle of a row, arms in front of the body."""
    canvas = Canvas(np.full((100, 100, 3), 128, np.uint8))
    rng = np.random.default_rng(3)
    pose = sample_pose(rng).scaled(80).centred_at(x, 50)
    painter = PersonPainter(canvas, rng, pose, owner=0)
    painter.arm_behind = {"left": False, "right": False}
    painter.draw()
    return canvas, pose


def test_joints_of_a_lone_person_are_visible_and_lie_on_their_part() -> None:
    canvas, pose = painted(50)
    keypoints = visible_keypoints(canvas, pose, 0)
    for joint in ("nose", "left_eye", "left_elbow", "right_wrist", "left_ankle", "right_knee"):
        assert keypoints[JOINT[joint], 2] == 2, joint
    np.testing.assert_array_equal(keypoints[:, :2], np.floor(pose.joints))
    x, y = keypoints[JOINT["left_ankle"], :2]
    assert canvas.part[y, x] == BodyPart.LEFT_SHIN


def test_a_covered_joint_is_occluded_and_another_is_not() -> None:
    canvas, pose = painted(50)
    disc = np.array([*pose.head, 12.0])
    draw_shape(canvas, np.random.default_rng(0), "circle", disc, owner=1)
    keypoints = visible_keypoints(canvas, pose, 0)
    assert keypoints[JOINT["nose"], 2] == 1
    assert tuple(keypoints[JOINT["nose"], :2]) == tuple(np.floor(pose.joints[0]))
    assert keypoints[JOINT["left_ankle"], 2] == 2


def test_the_own_body_occludes() -> None:
    canvas, pose = painted(50)
    before = visible_keypoints(canvas, pose, 0)[JOINT["left_hip"], 2]
    x, y = np.floor(pose.joints[JOINT["left_hip"]]).astype(int)
    canvas.part[y, x] = BodyPart.RIGHT_FOREARM  # the other arm comes to lie on it
    assert (before, visible_keypoints(canvas, pose, 0)[JOINT["left_hip"], 2]) == (2, 1)


def test_a_joint_out_of_the_frame_is_not_labelled() -> None:
    canvas, pose = painted(5)
    keypoints = visible_keypoints(canvas, pose, 0)
    outside = pose.joints[:, 0] < 0
    assert 0 < outside.sum() < 17
    assert np.all(keypoints[outside] == 0)
    assert np.all(keypoints[~outside, 2] > 0)


def test_people_face_the_viewer_so_that_left_and_right_can_be_told() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        joints = sample_pose(rng).joints
        for joint in ("shoulder", "hip"):
            assert joints[JOINT[f"left_{joint}"], 0] > joints[JOINT[f"right_{joint}"], 0]


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("MIN_VISIBLE_PIXELS", 10**5),
        ("MIN_VISIBLE_FRACTION", 1.01),
        ("MIN_JOINTS_IN_FRAME", 18),
        ("MIN_JOINTS_VISIBLE", 18),
    ],
)
def test_what_is_hardly_seen_is_not_annotated_but_drawn_again(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    monkeypatch.setattr(scene, limit, value)
    monkeypatch.setattr(scene, "MAX_TRIES", 3)
    with pytest.raises(RuntimeError, match="size=96, kind='plain'"):
        draw_scene(np.random.default_rng(1), 96, "plain")
