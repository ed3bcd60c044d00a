"""Paint a posed person part by part, and say which of their joints can be seen afterwards."""

import numpy as np

from .canvas import BodyPart, Canvas
from .pose import HEAD_RADII, JOINT, Pose

SKINS = ((170, 200, 240), (120, 160, 220), (70, 110, 170), (50, 75, 115))
CLOTHES = ((40, 40, 200), (30, 120, 235), (40, 200, 240), (120, 100, 230), (35, 50, 110))
HAIRS = ((20, 25, 35), (30, 50, 90), (70, 160, 210))


class PersonPainter:
    """Paints one posed person, from the back to the front.

    The limbs of one side are lighter than those of the other, so that crossed limbs can be told
    apart. Which side is lighter is random: left and right follow from the anatomy of a person who
    faces the viewer, and a colour that always meant "left" would contradict training's
    horizontal flip, which swaps the names but not the colours.
    """

    def __init__(self, canvas: Canvas, rng: np.random.Generator, pose: Pose, owner: int) -> None:
        self.canvas, self.pose, self.owner = canvas, pose, owner
        self.skin = np.array(SKINS[rng.integers(len(SKINS))])
        shirt, trousers = rng.choice(len(CLOTHES), 2, replace=False)
        self.shirt, self.trousers = np.array(CLOTHES[shirt]), np.array(CLOTHES[trousers])
        self.hair = np.array(HAIRS[rng.integers(len(HAIRS))])
        light = rng.integers(2)
        self.shade = {"left": (0.75, 1.15)[light], "right": (1.15, 0.75)[light]}
        self.arm_behind = {side: rng.random() < 0.3 for side in self.shade}
        self.sides = ("left", "right") if rng.random() < 0.5 else ("right", "left")

    def draw(self) -> None:
        """Draw the whole person."""
        for side in filter(self.arm_behind.get, self.sides):
            self._arm(side)
        for side in self.sides:
            self._leg(side)
        self._torso()
        self._head()
        for side in self.sides:
            if not self.arm_behind[side]:
                self._arm(side)

    def _joint(self, name: str) -> np.ndarray:
        return self.pose.joints[JOINT[name]]

    def _capsule(
        self,
        ends: tuple[np.ndarray, np.ndarray],
        radii: tuple[float, float],
        color: np.ndarray,
        part: BodyPart,
    ) -> None:
        """Fill the hull of two discs; radii in body units."""
        discs = [self._ellipse(end, (r, r)) for end, r in zip(ends, radii, strict=True)]
        self.canvas.fill_hull(np.concatenate(discs), color, self.owner, part)

    def _ellipse(
        self, centre: np.ndarray, radii: tuple[float, float], start: float = 0, stop: float = 1
    ) -> np.ndarray:
        """Points (n, 2) of an ellipse turned like the head; start and stop in whole turns."""
        angles = 2 * np.pi * np.linspace(start, stop, 25)
        points = np.stack([radii[0] * np.cos(angles), radii[1] * np.sin(angles)], 1)
        cos, sin = np.cos(self.pose.head_angle), np.sin(self.pose.head_angle)
        return centre + self.pose.unit * points @ np.array([[cos, sin], [-sin, cos]])

    def _arm(self, side: str) -> None:
        shoulder, elbow, wrist = (
            self._joint(f"{side}_{joint}") for joint in ("shoulder", "elbow", "wrist")
        )
        skin, shirt = self.skin * self.shade[side], self.shirt * self.shade[side]
        forearm = BodyPart[f"{side.upper()}_FOREARM"]
        self._capsule((elbow, wrist), (0.03, 0.025), skin, forearm)
        hand = wrist + (wrist - elbow) * 0.15
        self._capsule((wrist, hand), (0.028, 0.035), skin, forearm)
        self._capsule(
            (shoulder, elbow), (0.042, 0.035), shirt, BodyPart[f"{side.upper()}_UPPER_ARM"]
        )

    def _leg(self, side: str) -> None:
        hip, knee, ankle = (self._joint(f"{side}_{joint}") for joint in ("hip", "knee", "ankle"))
        trousers = self.trousers * self.shade[side]
        shin = BodyPart[f"{side.upper()}_SHIN"]
        outwards = (self._joint(f"{side}_hip") - self._pelvis()) * 0.8
        self._capsule((ankle, ankle + outwards), (0.035, 0.03), self.hair * 0.8, shin)
        self._capsule((knee, ankle), (0.042, 0.032), trousers, shin)
        self._capsule((hip, knee), (0.058, 0.045), trousers, BodyPart[f"{side.upper()}_THIGH"])

    def _pelvis(self) -> np.ndarray:
        return (self._joint("left_hip") + self._joint("right_hip")) / 2

    def _torso(self) -> None:
        neck = (self._joint("left_shoulder") + self._joint("right_shoulder")) / 2
        self._capsule((neck, self.pose.head), (0.045, 0.045), self.skin * 0.85, BodyPart.TORSO)
        corners = [self._joint(f"{side}_{j}") for side in self.sides for j in ("shoulder", "hip")]
        discs = np.concatenate([self._ellipse(corner, (0.04, 0.04)) for corner in corners])
        self.canvas.fill_hull(discs, self.shirt, self.owner, BodyPart.TORSO)

    def _head(self) -> None:
        # The head turns towards one ear, which goes behind it; the other comes to the front.
        far, near = ("left", "right") if self.pose.yaw > 0 else ("right", "left")
        self._ear(far)
        head, fill = self.pose.head, self.canvas.fill
        fill(self._ellipse(head, HEAD_RADII), self.skin, self.owner, BodyPart.HEAD)
        fill(self._ellipse(head, HEAD_RADII, 0.56, 0.94), self.hair, self.owner, BodyPart.HEAD)
        self._ear(near)
        for name in ("left_eye", "right_eye"):
            for radius, grey in ((0.021, 230), (0.012, 20)):  # white, pupil
                eye = self._ellipse(self._joint(name), (radius, radius))
                fill(eye, np.full(3, grey), self.owner, BodyPart.HEAD)
        nose = self._ellipse(self._joint("nose"), (0.012, 0.018))
        fill(nose, self.skin * 0.6, self.owner, BodyPart.HEAD)

    def _ear(self, side: str) -> None:
        ear = self._ellipse(self._joint(f"{side}_ear"), (0.022, 0.03))
        self.canvas.fill(ear, self.skin * 0.8, self.owner, BodyPart[f"{side.upper()}_EAR"])


def visible_keypoints(canvas: Canvas, pose: Pose, owner: int) -> np.ndarray:
    """Return COCO's (17, 3) int x, y, v of a drawn person.

    v is 0 (with x = y = 0) outside the picture, 2 where the pixel shows a part of this person that
    carries the joint, and 1 where something covers it: another object, or the person's own body.
    """
    height, width = canvas.owner.shape
    result = np.zeros((len(JOINT), 3), np.int64)
    for name, index in JOINT.items():
        x, y = np.floor(pose.joints[index]).astype(int)  # COCO's keypoints are pixel indices
        if 0 <= x < width and 0 <= y < height:
            seen = canvas.owner[y, x] == owner and BodyPart(canvas.part[y, x]) in _carriers(name)
            result[index] = x, y, 2 if seen else 1
    return result


def _carriers(joint: str) -> set[BodyPart]:
    """The parts on which a joint is seen, e.g. an elbow on both halves of its own arm."""
    side, _, name = joint.upper().partition("_")
    own = {
        "EAR": ("EAR",),
        "SHOULDER": ("UPPER_ARM",),
        "ELBOW": ("UPPER_ARM", "FOREARM"),
        "WRIST": ("FOREARM",),
        "HIP": ("THIGH",),
        "KNEE": ("THIGH", "SHIN"),
        "ANKLE": ("SHIN",),
    }.get(name)
    if own is None:  # nose and eyes
        return {BodyPart.HEAD}
    shared = {BodyPart.TORSO} if name in ("SHOULDER", "HIP") else set()
    return shared | {BodyPart[f"{side}_{part}"] for part in own}
