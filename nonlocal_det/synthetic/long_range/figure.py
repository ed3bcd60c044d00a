"""A long figure as plain geometry: COCO's 17 joints along an axis, before any pixel is drawn."""

import numpy as np

from nonlocal_det.synthetic.pose import JOINT

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


def sample_figure(rng: np.random.Generator, left: int, down: float) -> np.ndarray:
    """Random joints (17, 2) as (along, aside); positive is to the right with the head up.

    Args:
        rng: the only source of chance.
        left: the sign of the side on which the left joints are: 1 seen from the front, else -1.
        down: of the head along the figure, from the end of the neck.
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


def in_picture(points: np.ndarray, length: float, angle: float) -> np.ndarray:
    """Pixels (n, 2), x and y around the figure's top, of points (n, 2) as (along, aside).

    Args:
        points: see `sample_figure`.
        length: of the figure in pixels.
        angle: by which the figure is turned, in radians; 0 has the head up.
    """
    down = np.array([-np.sin(angle), np.cos(angle)])
    right = np.array([np.cos(angle), np.sin(angle)])
    placed: np.ndarray = length * (points[:, :1] * down + points[:, 1:] * right)
    return placed
