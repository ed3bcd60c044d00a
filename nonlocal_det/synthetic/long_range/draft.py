"""A picture in the making: what is where, what may not overlap, how far the evidence is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nonlocal_det.data.opencv import import_cv2
from nonlocal_det.synthetic.canvas import Canvas, Part, draw_background, shape_polygon

from .recipe import Recipe

cv2 = import_cv2()

EVIDENCE = 1000
"""Owners on the canvas from here on are evidence, not what is asked for."""

SHAPES = ("square", "triangle")
CONTRAST = 50
_TRIES = 200


class NoRoom(Exception):
    """A random arrangement left no place for the next thing: draw another one."""


@dataclass(frozen=True)
class Item:
    """One annotated object.

    Attributes:
        name: its category.
        mask: (H, W) bool.
        distance: pixels to its evidence, see `distance_to`.
        keypoints: (17, 3) int x, y, v as in COCO, or None.
        keypoint_distances: (17,) pixels of each keypoint to the evidence, or None.
    """

    name: str
    mask: np.ndarray
    distance: float
    keypoints: np.ndarray | None = None
    keypoint_distances: np.ndarray | None = None


@dataclass(frozen=True)
class Scene:
    """A picture, its objects, and what tells them apart.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        items: what is asked for.
        evidence: objects of the same categories whose own looks say which: to learn from.
    """

    image: np.ndarray
    items: tuple[Item, ...]
    evidence: tuple[Item, ...] = ()


class Draft:
    """A canvas on which things keep their distance from each other.

    Args:
        rng: the only source of chance.
        recipe: sizes.
        training: whether the picture is one to learn from.

    Attributes:
        brightness: mean of the background, 0 to 255.
    """

    def __init__(self, rng: np.random.Generator, recipe: Recipe, training: bool = True) -> None:
        self.rng, self.recipe, self.training = rng, recipe, training
        # Grey, since colours are the evidence: a tint of the whole image would drown a bar.
        ground = draw_background(rng, recipe.height, recipe.width, clutter=False, tint=0)
        self.canvas = Canvas(ground)
        self.brightness = float(self.canvas.image.mean())
        self._taken: list[tuple[float, float, float, float]] = []

    def place(
        self, width: float, height: float, columns: tuple[float, float] = (0, math.inf)
    ) -> tuple[float, float]:
        """A free place for a box: its corner (x, y), wholly inside, the recipe's gap around it.

        Args:
            width: of the box, in pixels.
            height: likewise.
            columns: between which it lies, as far as the picture goes.

        Raises:
            NoRoom: none was found.
        """
        gap, recipe = self.recipe.gap, self.recipe
        low, high = max(0, columns[0]), min(recipe.width, columns[1]) - width
        for _ in range(_TRIES):
            x = self.rng.uniform(low, high)
            y = self.rng.uniform(0, recipe.height - height)
            if all(
                x + width + gap <= x0 or x1 + gap <= x or y + height + gap <= y0 or y1 + gap <= y
                for x0, y0, x1, y1 in self._taken
            ):
                self._taken.append((x, y, x + width, y + height))
                return x, y
        raise NoRoom

    def shape(
        self, centre: tuple[float, float], radius: float, color: np.ndarray, owner: int
    ) -> None:
        """Fill a square or a triangle of any angle."""
        name = SHAPES[self.rng.integers(len(SHAPES))]
        polygon = shape_polygon(self.rng, name, np.array([*centre, radius]))
        self.canvas.fill(polygon, color, owner, Part.SHAPE)

    def rectangle(
        self, corner: tuple[float, float], size: tuple[float, float], color: np.ndarray, owner: int
    ) -> None:
        """Fill an upright rectangle; size: (width, height)."""
        x, y = (round(value) for value in corner)
        polygon = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * size + (x, y)
        self.canvas.fill(polygon, color, owner, Part.SHAPE)

    def radius(self) -> float:
        """A random radius for a shape, in pixels."""
        return self.recipe.object_size / 2 * self.rng.uniform(0.7, 1)

    def item(self, name: str, owner: int, evidence: int) -> Item:
        """The object that was drawn as ``owner``, told by what was drawn as ``evidence``."""
        mask = self.canvas.owner == owner
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        centre = np.array([columns[0] + columns[-1] + 1, rows[0] + rows[-1] + 1]) / 2
        return Item(name, mask, distance_to(self.canvas.owner == evidence, centre))

    def finish(self, items: list[Item], evidence: Sequence[Item] = ()) -> Scene:
        """Blur a little, add noise."""
        noise = self.rng.normal(0, 6, self.canvas.image.shape)
        image = cv2.GaussianBlur(self.canvas.image, (3, 3), 0.5)
        noisy = np.clip(image + noise, 0, 255).astype(np.uint8)
        return Scene(noisy, tuple(items), tuple(evidence))


def contrasting_grey(rng: np.random.Generator, background: float) -> float:
    """A level from 20 to 235 that differs from the background's mean by at least `CONTRAST`."""
    level = rng.uniform(20, 235)
    while abs(level - background) < CONTRAST:
        level = rng.uniform(20, 235)
    return level


def distance_to(evidence: np.ndarray, point: np.ndarray) -> float:
    """Pixels from a point (x, y) to the nearest pixel of the evidence (H, W).

    The larger one of the horizontal and the vertical distance, since receptive fields are squares:
    a position sees the evidence where this is at most half its field's side.
    """
    rows, columns = np.nonzero(evidence)
    away = np.maximum(np.abs(columns + 0.5 - point[0]), np.abs(rows + 0.5 - point[1]))
    return float(away.min())
