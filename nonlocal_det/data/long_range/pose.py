"""Long figures whose limbs look alike: which is left, only the head at the far end says."""

import numpy as np

from nonlocal_det.data.canvas import Part
from nonlocal_det.data.person import CLOTHES
from nonlocal_det.data.pose import JOINT

from .draft import Draft, Item, Scene, cv2, distance_to
from .figure import (
    BONES,
    DOWN,
    FACE,
    HEAD,
    HEAD_RADIUS,
    LIMB_JOINTS,
    MARGIN,
    NECK,
    in_picture,
    sample_figure,
)

LIGHT, DARK = (190, 215, 245), (25, 25, 35)  # BGR of a face, and of hair seen from behind
LIMB_WIDTH = 0.016  # half of it, in lengths


def draw_pose(draft: Draft) -> Scene:
    """One figure, turned every way, seen from the front (a face) or from behind (hair).

    Left and right limbs look alike and only the head says which is which: errors are swaps. A
    horizontal flip that exchanges the names keeps all of this true. The head sits anywhere on the
    neck, so that the rule can be learnt where it is near, and is needed where it is far; the neck
    is there whole, so that regions, and with them their reach, are of one size.
    """
    rng, recipe = draft.rng, draft.recipe
    from_front, angle = bool(rng.integers(2)), rng.uniform(0, 2 * np.pi)
    down = rng.uniform(0, DOWN)
    joints = sample_figure(rng, from_front, down)
    around = np.concatenate([joints, [[0, -HEAD_RADIUS], [0, HEAD_RADIUS], [1, 0]]])
    extent = in_picture(around, recipe.figure_length, angle)
    margin = MARGIN * recipe.figure_length
    low, high = extent.min(0) - margin, extent.max(0) + margin
    top = np.array(draft.place(*(high - low))) - low
    painter = _Painter(draft, angle, top, down)
    painter.body(joints, np.array(CLOTHES[rng.integers(len(CLOTHES))]))
    painter.head(from_front)
    return draft.finish([_item(draft, painter.at(joints), from_front)])


class _Painter:
    """Fills parts of one figure that are given as (along, aside)."""

    def __init__(self, draft: Draft, angle: float, top: np.ndarray, down: float) -> None:
        self.canvas, self.length = draft.canvas, draft.recipe.figure_length
        self.angle, self.top, self.down = angle, top, down

    def at(self, points: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) of points (n, 2)."""
        return in_picture(points, self.length, self.angle) + self.top

    def body(self, joints: np.ndarray, color: np.ndarray) -> None:
        """Everything below the head, the same on both sides."""
        neck = np.array([[along, 0.0] for along in NECK])
        self._capsule(neck, LIMB_WIDTH, color)
        corners = [JOINT[f"{s}_{j}"] for s in ("left", "right") for j in ("shoulder", "hip")]
        hull = cv2.convexHull(self.at(joints[corners]).astype(np.float32))[:, 0]
        self.canvas.fill(hull, color, 0, Part.TORSO)
        for ends in BONES:
            for side in ("left", "right"):
                bone = joints[[JOINT[f"{side}_{end}"] for end in ends]]
                self._capsule(bone, LIMB_WIDTH, color * 0.8)

    def head(self, from_front: bool) -> None:
        """A light face with eyes and a nose, or dark hair; ears in either."""
        eyes_and_nose = [FACE["nose"], *((FACE["eye"][0], s * FACE["eye"][1]) for s in (1, -1))]
        ears = [(FACE["ear"][0], sign * FACE["ear"][1]) for sign in (1, -1)]
        for ear in ears:
            self._disc(ear, 0.015, np.array(LIGHT) * 0.8)
        self._disc((HEAD, 0), HEAD_RADIUS, np.array(LIGHT if from_front else DARK))
        for spot in eyes_and_nose if from_front else ():
            self._disc(spot, 0.008, np.array(DARK))

    def _disc(self, centre: tuple[float, float], radius: float, color: np.ndarray) -> None:
        """A disc of the head, whose centre is given for a head at the end of the neck."""
        at = np.array(centre) + (self.down, 0)
        self.canvas.fill(self.at(_circle(at, radius)), color, 0, Part.HEAD)

    def _capsule(self, ends: np.ndarray, radius: float, color: np.ndarray) -> None:
        discs = np.concatenate([self.at(_circle(end, radius)) for end in ends])
        hull = cv2.convexHull(discs.astype(np.float32))[:, 0]
        self.canvas.fill(hull, color, 0, Part.TORSO)


def _circle(centre: np.ndarray, radius: float) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 25)
    return centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1)


def _item(draft: Draft, joints: np.ndarray, from_front: bool) -> Item:
    """The annotation of the figure, whose joints (17, 2) are pixels by now."""
    canvas = draft.canvas
    head = (canvas.owner == 0) & (canvas.part == Part.HEAD)
    distances = np.array([distance_to(head, joint) for joint in joints])
    keypoints = np.full((len(JOINT), 3), 2, np.int64)
    keypoints[:, :2] = np.floor(joints)
    if not from_front:
        keypoints[[JOINT[name] for name in ("nose", "left_eye", "right_eye")], 2] = 1
    far = float(distances[list(LIMB_JOINTS)].mean())
    return Item("person", canvas.owner == 0, far, keypoints, distances)
