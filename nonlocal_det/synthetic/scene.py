"""Compose one picture of mini-COCO, and find out what is visible in it."""

from typing import NamedTuple

import numpy as np

from .canvas import SHAPE_CORNERS, Canvas, Scene, SceneObject, draw_background, draw_shape
from .person import PersonPainter, visible_keypoints
from .pose import JOINT, Pose, sample_pose

MAX_TRIES = 100
# An object that shows less of itself than this is not findable: the picture is drawn again.
MIN_VISIBLE_FRACTION = 0.5
MIN_VISIBLE_PIXELS = 40
MIN_JOINTS_IN_FRAME, MIN_JOINTS_VISIBLE = 9, 6


def draw_scene(rng: np.random.Generator, size: int, kind: str) -> Scene:
    """Draw one picture.

    Args:
        rng: the only source of chance.
        size: each side is between 0.75 and 1.25 times as long, in pixels.
        kind: "plain", "crowd" (has a crowd) or "empty" (has no object).

    Raises:
        RuntimeError: no acceptable picture was found.
    """
    height, width = (int(round(size * side)) for side in rng.uniform(0.75, 1.25, 2))
    for _ in range(MAX_TRIES):
        scene = _SceneDraft(rng, height, width).finish(kind)
        if scene is not None:
            return scene
    raise RuntimeError(f"size={size}, kind={kind!r}: no picture with findable objects was drawn")


class _Drawn(NamedTuple):
    """What was drawn; `pixels` counts it before anything later covered it."""

    name: str
    pose: Pose | None
    is_crowd: bool
    pixels: int


class _SceneDraft:
    """A picture in the making: `finish` returns None when an object is not findable."""

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        self.rng = rng
        self.canvas = Canvas(draw_background(rng, height, width))
        self.height, self.width = height, width
        self.drawn: list[_Drawn] = []

    def finish(self, kind: str) -> Scene | None:
        if kind == "crowd":
            self._add_crowd()
        if kind != "empty":
            self._add_people_and_shapes(most_people=1 if kind == "crowd" else 3)
        objects = []
        for index, drawn in enumerate(self.drawn):
            found = self._visible(index, drawn)
            if found is None:
                return None
            objects.append(found)
        return Scene(self.canvas.with_noise(self.rng), tuple(objects))

    def _add_people_and_shapes(self, most_people: int) -> None:
        rng = self.rng
        people = min(most_people, int(rng.choice([1, 2, 3], p=[0.55, 0.4, 0.05])))
        shapes = int(rng.choice(3, p=[0.35, 0.4, 0.25]))
        slots: list[int | None] = [*range(people), *([None] * shapes)]
        # Later ones cover earlier ones, so the order decides who is occluded.
        for slot in (slots[i] for i in rng.permutation(len(slots))):
            if slot is None:
                self._add_shape()
            else:
                pose = self._place(sample_pose(rng), slot, people)
                self._add_person(pose)
                self._remember("person", pose)

    def _place(self, pose: Pose, slot: int, people: int) -> Pose:
        """Scale and move a pose into its share of the picture's width."""
        rng = self.rng
        width, height = np.diff(pose.extent(), axis=0)[0]
        widest = self.width * (0.98 if people == 1 else 1.25 / people)
        tallest = self.height * rng.uniform(0.45, 0.95 if people == 1 else 0.85)
        factor = min(widest / width, tallest / height)
        width, height = width * factor, height * factor
        # Mostly inside; one person in four hangs over an edge and loses some joints.
        overhang = 0.3 if rng.random() < 0.25 else 0.0
        x = self.width * (slot + rng.uniform(0, 1)) / people
        x = np.clip(x, width * (0.5 - overhang), self.width - width * (0.5 - overhang))
        y = rng.uniform(height / 2, self.height - height / 2)
        y += overhang * height * rng.uniform(0, 1)
        return pose.scaled(factor).centred_at(x, y)

    def _add_person(self, pose: Pose) -> None:
        PersonPainter(self.canvas, self.rng, pose, owner=len(self.drawn)).draw()

    def _add_shape(self) -> None:
        rng = self.rng
        name = list(SHAPE_CORNERS)[rng.integers(len(SHAPE_CORNERS))]
        radius = rng.uniform(0.08, 0.18) * min(self.height, self.width)
        disc = np.array([rng.uniform(0, self.width), rng.uniform(0, self.height), radius])
        draw_shape(self.canvas, rng, name, disc, owner=len(self.drawn))
        self._remember(name)

    def _add_crowd(self) -> None:
        """Draw tiny people who overlap, all of them one object."""
        rng = self.rng
        x0, y0 = rng.uniform(0.1, 0.5) * self.width, rng.uniform(0.15, 0.5) * self.height
        for _ in range(rng.integers(6, 13)):
            pose = sample_pose(rng)
            height = np.diff(pose.extent(), axis=0)[0, 1]
            pose = pose.scaled(rng.uniform(0.14, 0.2) * self.height / height)
            x, y = rng.uniform(0, 0.45) * self.width, rng.uniform(0, 0.15) * self.height
            self._add_person(pose.centred_at(x0 + x, y0 + y))
        self._remember("person", is_crowd=True)

    def _remember(self, name: str, pose: Pose | None = None, is_crowd: bool = False) -> None:
        pixels = int((self.canvas.owner == len(self.drawn)).sum())
        self.drawn.append(_Drawn(name, pose, is_crowd, pixels))

    def _visible(self, index: int, drawn: _Drawn) -> SceneObject | None:
        """Return the object with its visible pixels, None when these are too few."""
        mask = self.canvas.owner == index
        if mask.sum() < max(MIN_VISIBLE_PIXELS, MIN_VISIBLE_FRACTION * drawn.pixels):
            return None
        if drawn.is_crowd:  # COCO labels no keypoints in crowds
            return SceneObject(drawn.name, mask, np.zeros((len(JOINT), 3), int), is_crowd=True)
        if drawn.pose is None:
            return SceneObject(drawn.name, mask)
        keypoints = visible_keypoints(self.canvas, drawn.pose, index)
        in_frame, visible = (keypoints[:, 2] > 0).sum(), (keypoints[:, 2] == 2).sum()
        if in_frame < MIN_JOINTS_IN_FRAME or visible < MIN_JOINTS_VISIBLE:
            return None
        return SceneObject(drawn.name, mask, keypoints)
