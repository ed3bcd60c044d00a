"""A picture in the making: what is where, what may not overlap, how far the evidence is."""

import math

import numpy as np

from nonlocal_det.synthetic.canvas import (
    BodyPart,
    Canvas,
    Scene,
    SceneObject,
    draw_background,
    shape_polygon,
)

from .recipe import Recipe

EVIDENCE = 1000
"""Owners on the canvas from here on are evidence, not what is asked for."""

SHAPES = ("square", "triangle")
CONTRAST = 50
_TRIES = 200


class NoRoom(Exception):
    """A random arrangement left no place for the next thing: draw another one."""


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
        self.canvas.fill(polygon, color, owner, BodyPart.SHAPE)

    def rectangle(
        self, corner: tuple[float, float], size: tuple[float, float], color: np.ndarray, owner: int
    ) -> None:
        """Fill an upright rectangle; size: (width, height)."""
        x, y = (round(value) for value in corner)
        polygon = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * size + (x, y)
        self.canvas.fill(polygon, color, owner, BodyPart.SHAPE)

    def radius(self) -> float:
        """A random radius for a shape, in pixels."""
        return self.recipe.object_size / 2 * self.rng.uniform(0.7, 1)

    def object(self, name: str, owner: int, evidence: int, is_crowd: bool = False) -> SceneObject:
        """Return the object that was drawn as ``owner``, told by what was drawn as ``evidence``."""
        mask = self.canvas.owner == owner
        rows, columns = np.nonzero(mask)
        centre = np.array([columns.min() + columns.max() + 1, rows.min() + rows.max() + 1]) / 2
        distance = distance_to(self.canvas.owner == evidence, centre)
        return SceneObject(name, mask, is_crowd=is_crowd, evidence_distance=distance)

    def finish(self, objects: list[SceneObject]) -> Scene:
        """Return the finished picture with its objects."""
        return Scene(self.canvas.with_noise(self.rng), tuple(objects))


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
