"""What a model says of each object, or joint, of the long-range data: right, wrong or nothing."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from faster_coco_eval.core import mask as mask_util

from nonlocal_det.synthetic.long_range import LIMB_JOINTS

from .keypoint_kinds import NEAR, Pose, similarity
from .matching import Scene

MATCHED = 0.5
"""The IoU from which a detection is an object's."""


@dataclass(frozen=True)
class Answer:
    """What was said of one object or one joint.

    Attributes:
        distance: pixels to the evidence.
        right: False where it was taken for another; None where it was not found.
    """

    distance: float
    right: bool | None


def _answering(scene: Scene) -> Iterator[tuple[int, int | None]]:
    """Each object's index, and that of the best-scored detection on it."""
    boxes = [[float(v) for v in one["bbox"]] for one in scene.detections]
    true = [one["bbox"] for one in scene.truths]
    no_crowd = [0] * len(true)
    iou = np.zeros((0, len(true)))
    if boxes and true:
        iou = np.asarray(mask_util.iou(boxes, true, no_crowd))  # (D, G)
    for column in range(len(true)):
        rows = np.flatnonzero(iou[:, column] >= MATCHED)
        yield column, int(rows[0]) if len(rows) else None  # best score first


def answers_on_categories(scene: Scene) -> Iterator[Answer]:
    """Whether the best-scored detection on each object has its category."""
    for column, row in _answering(scene):
        right = None if row is None else bool(scene.same_class[row, column])
        yield Answer(scene.truths[column]["evidence_distance"], right)


def answers_on_sides(scene: Scene, pose: Pose) -> Iterator[Answer]:
    """Whether each limb's joint of the best-scored detection on a figure is on its own side."""
    for column, row in _answering(scene):
        truth = scene.truths[column]
        true = np.array(truth["keypoints"], dtype=float).reshape(1, -1, 3)
        said: list[bool | None] = [None] * true.shape[1]
        if row is not None:
            points = np.array(scene.detections[row]["keypoints"], dtype=float).reshape(-1, 3)
            said = _sides_of(points[:, :2], true, float(truth["area"]), pose)
        for joint in LIMB_JOINTS:
            if true[0, joint, 2] > 0:
                yield Answer(truth["keypoint_evidence_distances"][joint], said[joint])


def _sides_of(points: np.ndarray, true: np.ndarray, area: float, pose: Pose) -> list[bool | None]:
    """Whether each point (K, 2) is on its own side of a figure (1, K, 3); None: on neither.

    One sigma serves a joint and its twin, so the nearer one is the more similar one.
    """
    areas = np.array([area])
    own = similarity(points, true, areas, pose)[0]
    twin = similarity(points, true[:, pose.mirror], areas, pose)[0]
    return [None if max(a, b) < NEAR else bool(a >= b) for a, b in zip(own, twin, strict=True)]
