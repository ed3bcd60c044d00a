"""Random poses of a drawn person: COCO's 17 joints as plain geometry, before any pixel is drawn."""

from dataclasses import dataclass, replace

import numpy as np
from detectron2.data.datasets.builtin_meta import COCO_PERSON_KEYPOINT_NAMES

JOINT = {name: index for index, name in enumerate(COCO_PERSON_KEYPOINT_NAMES)}

# Lengths in body units: an upright person is about one unit tall. The head is a little larger than
# life, so that eyes and nose are still separate pixels in a small picture.
HEAD_RADII = (0.085, 0.105)
LIMBS = {
    # joints: where the first one is, length and angles of the first bone, of the second
    ("shoulder", "elbow", "wrist"): ((0.115, -0.30), 0.17, (-5, 145), 0.16, (-100, 100)),
    ("hip", "knee", "ankle"): ((0.065, 0.0), 0.24, (-12, 35), 0.23, (-35, 15)),
}
MARGIN = 0.05  # half a limb's width, a hand or a foot beyond the outermost joint


@dataclass(frozen=True)
class Pose:
    """A posed person who faces the viewer, so that their left is on the picture's right.

    Attributes:
        joints: (17, 2) x, y of COCO's keypoints, in COCO's order.
        head: (2,) centre of the head.
        head_angle: rotation of the head in the picture, radians.
        yaw: turn of the head towards the picture's right, radians.
        unit: length of one body unit.
    """

    joints: np.ndarray
    head: np.ndarray
    head_angle: float
    yaw: float
    unit: float = 1.0

    def extent(self) -> np.ndarray:
        """Return the corners ((x0, y0), (x1, y1)) of the box around the whole body."""
        low = np.minimum(self.joints.min(0) - MARGIN * self.unit, self.head - 0.11 * self.unit)
        high = np.maximum(self.joints.max(0) + MARGIN * self.unit, self.head + 0.11 * self.unit)
        return np.stack([low, high])

    def scaled(self, factor: float) -> "Pose":
        """Return the same pose, `factor` times as large."""
        return replace(
            self, joints=self.joints * factor, head=self.head * factor, unit=self.unit * factor
        )

    def centred_at(self, x: float, y: float) -> "Pose":
        """Return the same pose with the centre of its extent at (x, y)."""
        shift = np.array([x, y]) - self.extent().mean(0)
        return replace(self, joints=self.joints + shift, head=self.head + shift)


def sample_pose(rng: np.random.Generator) -> Pose:
    """Draw a random pose in body units, pelvis at the origin, y downwards."""
    joints = np.zeros((len(JOINT), 2))
    for side, sign in (("left", 1), ("right", -1)):
        for names, sizes in LIMBS.items():
            for name, point in zip(names, _limb(rng, sign, *sizes), strict=True):
                joints[JOINT[f"{side}_{name}"]] = point
    tilt, yaw = rng.uniform(-0.3, 0.3), rng.uniform(-0.7, 0.7)
    head = np.array([0.0, -0.345]) + 0.095 * _direction(np.pi + tilt, -1)
    face = _face(yaw) @ _rotation(tilt).T + head
    joints[: len(face)] = face
    turn = np.clip(rng.normal(0, 0.2), -0.6, 0.6)
    rotation = _rotation(turn)
    return Pose(joints @ rotation.T, rotation @ head, tilt + turn, yaw)


def _limb(
    rng: np.random.Generator,
    sign: int,
    start: tuple[float, float],
    first: float,
    angles: tuple[float, float],
    second: float,
    bend: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three joints of one limb: angles in degrees, from straight down, outwards positive."""
    root = np.array([sign * start[0], start[1]])
    angle = np.deg2rad(rng.uniform(*angles))
    middle = root + first * rng.uniform(0.85, 1) * _direction(angle, sign)
    angle += np.deg2rad(rng.uniform(*bend))
    end = middle + second * rng.uniform(0.85, 1) * _direction(angle, sign)
    return root, middle, end


def _face(yaw: float) -> np.ndarray:
    """Nose, eyes and ears (5, 2) around the head's centre, on a sphere turned by `yaw`."""
    radius = HEAD_RADII[0]
    nose = (radius * np.sin(yaw), 0.02)
    eyes = [(radius * np.sin(yaw + sign * 0.5), -0.02) for sign in (1, -1)]
    # A little outside the head, so that both ears are seen from the front.
    ears = [(1.1 * radius * sign * np.cos(yaw), 0.0) for sign in (1, -1)]
    return np.array([nose, *eyes, *ears])


def _direction(angle: float, sign: int) -> np.ndarray:
    return np.array([sign * np.sin(angle), np.cos(angle)])


def _rotation(angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
