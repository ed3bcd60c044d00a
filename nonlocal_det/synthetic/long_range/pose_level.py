"""Long figures with limbs of two colours: which of them is left, only the head far away says."""

import numpy as np

from nonlocal_det.synthetic.canvas import BodyPart, Scene, SceneObject
from nonlocal_det.synthetic.pose import JOINT

from .draft import Draft, contrasting_grey, distance_to

# (along, aside): along the figure from top (0) to toe (1), and away from its axis, in its lengths.
HEAD, HEAD_RADIUS = 0.1, 0.09
NECK = (0.03, 0.54)
FACE = {"nose": (0.125, 0.0), "eye": (0.085, 0.035), "ear": (0.1, 0.09)}
LIMBS = {
    **{"shoulder": (0.56, 0.07), "elbow": (0.64, 0.12), "wrist": (0.73, 0.13)},
    **{"hip": (0.76, 0.05), "knee": (0.87, 0.07), "ankle": (0.98, 0.08)},
}
JITTER = 0.018
MARGIN = 0.03
DOWN = 0.7  # the farthest that a head sits from the end of the neck: on the hips
BONES = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
LIMB_JOINTS = tuple(JOINT[f"{side}_{name}"] for name in LIMBS for side in ("left", "right"))
COLORS = ((50, 135, 250), (225, 125, 25))  # BGR, orange and blue: differ on every background
FACE_COLOR = (25, 25, 35)
ORANGE_IN_TRAINING = 0.8
LIMB_WIDTH = 0.03  # half of it, in lengths


def draw_pose(draft: Draft) -> Scene:
    """One figure, turned every way; its left limbs have the colour of its head.

    Either colour may be the left one's, and left may be on either side, so the limbs by themselves
    say nothing and errors are swaps. A horizontal flip that exchanges the names would break the
    rule: INPUT.RANDOM_FLIP "none".

    The rule is an exclusive or, of a joint's colour and the head's: no first step towards it is
    better than chance, and nothing is learnt from it alone. So it is made easy to begin with. The
    head sits anywhere along the figure: the rule can be learnt where it is near, and is needed
    where it is far. And in training most left limbs are orange: that is learnt first, and the head
    then says when it is wrong. In val and test it is wrong as often as right.
    """
    rng, recipe = draft.rng, draft.recipe
    orange = rng.random() < (ORANGE_IN_TRAINING if draft.training else 0.5)
    left, colors = rng.choice([1, -1]), np.array(COLORS if orange else COLORS[::-1])
    angle, down = rng.uniform(0, 2 * np.pi), rng.uniform(0, DOWN)
    joints = _sample_figure(rng, left, down)
    around = np.concatenate([joints, [[0, -HEAD_RADIUS], [0, HEAD_RADIUS], [1, 0]]])
    extent = _in_picture(around, recipe.figure_length, angle)
    margin = MARGIN * recipe.figure_length
    low, high = extent.min(0) - margin, extent.max(0) + margin
    top = np.array(draft.place(*(high - low))) - low
    painter = _Painter(draft, angle, top, down)
    painter.body(joints, np.full(3, contrasting_grey(rng, draft.brightness)), colors)
    painter.head(colors[0])
    return draft.finish([_item(draft, painter.at(joints))])


def _sample_figure(rng: np.random.Generator, left: int, down: float) -> np.ndarray:
    """Random joints (17, 2) as (along, aside); positive is to the right with the head up.

    ``left`` is the sign of the side on which the left joints are: 1 seen from the front, else -1;
    ``down`` is that of the head along the figure, from the end of the neck.
    """
    joints = np.zeros((len(JOINT), 2))
    joints[JOINT["nose"]] = FACE["nose"][0] + down, FACE["nose"][1]
    for side, sign in (("left", left), ("right", -left)):
        for name in ("eye", "ear"):
            along, aside = FACE[name]
            joints[JOINT[f"{side}_{name}"]] = along + down, sign * aside
        for name, (along, aside) in LIMBS.items():
            moved = np.array([along, aside]) + rng.uniform(-JITTER, JITTER, 2)
            joints[JOINT[f"{side}_{name}"]] = moved * (1, sign)
    return joints


def _in_picture(points: np.ndarray, length: float, angle: float) -> np.ndarray:
    """Pixels (n, 2), x and y around the figure's top, of points (n, 2) as (along, aside).

    The figure is of ``length`` pixels, turned by ``angle`` radians; 0 has the head up.
    """
    down = np.array([-np.sin(angle), np.cos(angle)])
    right = np.array([np.cos(angle), np.sin(angle)])
    placed: np.ndarray = length * (points[:, :1] * down + points[:, 1:] * right)
    return placed


class _Painter:
    """Fills parts of one figure that are given as (along, aside)."""

    def __init__(self, draft: Draft, angle: float, top: np.ndarray, down: float) -> None:
        self.canvas, self.length = draft.canvas, draft.recipe.figure_length
        self.angle, self.top, self.down = angle, top, down

    def at(self, points: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) of points (n, 2)."""
        return _in_picture(points, self.length, self.angle) + self.top

    def body(self, joints: np.ndarray, color: np.ndarray, limbs: np.ndarray) -> None:
        """Neck and torso of one colour; ``limbs`` (2, 3) are the left ones' and the right ones'."""
        neck = np.array([[along, 0.0] for along in NECK])
        self._capsule(neck, LIMB_WIDTH, color)
        corners = [JOINT[f"{s}_{j}"] for s in ("left", "right") for j in ("shoulder", "hip")]
        self.canvas.fill_hull(self.at(joints[corners]), color, 0, BodyPart.TORSO)
        for ends in BONES:
            for side, limb in zip(("left", "right"), limbs, strict=True):
                bone = joints[[JOINT[f"{side}_{end}"] for end in ends]]
                self._capsule(bone, LIMB_WIDTH, limb)

    def head(self, color: np.ndarray) -> None:
        """A face with eyes and a nose, and ears."""
        eyes_and_nose = [FACE["nose"], *((FACE["eye"][0], s * FACE["eye"][1]) for s in (1, -1))]
        for sign in (1, -1):
            self._disc((FACE["ear"][0], sign * FACE["ear"][1]), 0.015, color * 0.8)
        self._disc((HEAD, 0), HEAD_RADIUS, color)
        for spot in eyes_and_nose:
            self._disc(spot, 0.008, np.array(FACE_COLOR))

    def _disc(self, centre: tuple[float, float], radius: float, color: np.ndarray) -> None:
        """A disc of the head, whose centre is given for a head at the end of the neck."""
        at = np.array(centre) + (self.down, 0)
        self.canvas.fill(self.at(_circle(at, radius)), color, 0, BodyPart.HEAD)

    def _capsule(self, ends: np.ndarray, radius: float, color: np.ndarray) -> None:
        discs = np.concatenate([self.at(_circle(end, radius)) for end in ends])
        self.canvas.fill_hull(discs, color, 0, BodyPart.TORSO)


def _circle(centre: np.ndarray, radius: float) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 25)
    return centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1)


def _item(draft: Draft, joints: np.ndarray) -> SceneObject:
    """The annotation of the figure, whose joints (17, 2) are pixels by now."""
    canvas = draft.canvas
    head = (canvas.owner == 0) & (canvas.part == BodyPart.HEAD)
    distances = np.array([distance_to(head, joint) for joint in joints])
    keypoints = np.full((len(JOINT), 3), 2, np.int64)
    keypoints[:, :2] = np.floor(joints)
    for joint in LIMB_JOINTS:  # behind the head
        x, y, _ = keypoints[joint]
        keypoints[joint, 2] = 1 if head[y, x] else 2
    far = float(distances[list(LIMB_JOINTS)].mean())
    return SceneObject(
        *("person", canvas.owner == 0, keypoints),
        evidence_distance=far,
        keypoint_distances=distances,
    )
