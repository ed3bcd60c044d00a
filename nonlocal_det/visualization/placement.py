"""Where the cells of a feature map lie in the image or the clip that the user gave."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

Point = tuple[float, ...]
"""(x, y) in pixels of an image; of a clip (x, y, frame), its frames counted from 0."""
Box = tuple[float, float, float, float]
Sides = tuple[int, ...]
"""(H, W) of an image, (T, H, W) of a clip."""


@dataclass(frozen=True)
class Placement:
    """A grid of cells over an image or a clip, or over one box of an image.

    Axes are those of a feature map: H and W, of a clip T, H and W. Cell k of an axis covers what
    is behind ``origin + k * cell``, as RoIAlign and the padding masks take it; in pixels of the
    image and frames of the clip, whose first one covers 0 to 1.

    Attributes:
        origin: where the grid begins on each axis.
        cell: the size of a cell on each axis.
        shape: of the queries.
        key_shape: of the keys; where there are fewer, a key covers a window of query cells, the
            last one of an odd map what is left.
        size: of the image or the clip.
        is_roi: whether the grid covers a box of the image and not the image.
    """

    origin: tuple[float, ...]
    cell: tuple[float, ...]
    shape: Sides
    key_shape: Sides
    size: Sides
    is_roi: bool = False

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the image, or of the clip's frames."""
        return self.size[-2], self.size[-1]

    @property
    def box(self) -> Box:
        """The area of the grid: x0, y0, x1, y1; perhaps into the padding."""
        (y0, x0), (cell_y, cell_x) = self.origin[-2:], self.cell[-2:]
        rows, columns = self.shape[-2:]
        return x0, y0, x0 + columns * cell_x, y0 + rows * cell_y

    def position_of(self, point: Point) -> Sides:
        """Find the query position whose cell holds a point.

        A point within a cell's width of a region's border counts as inside of it: joints are found
        on the border itself.

        Args:
            point: (x, y), or of a clip (x, y, frame).

        Raises:
            ValueError: the point is outside of the image, of the clip, or of the region that the
                map covers, or has not as many numbers as the map has axes.
        """
        if len(point) != len(self.size):
            expected = "(x, y)" if len(self.size) == 2 else "(x, y, frame)"
            raise ValueError(f"point {point}: expected {expected}")
        (x, y), (height, width) = point[:2], self.image_size
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(
                f"point ({x:g}, {y:g}) is outside of the image, which is {width} x {height} "
                f"pixels; give x in 0..{width - 1} and y in 0..{height - 1}"
            )
        if len(point) == 3 and not 0 <= point[2] < self.size[0]:
            raise ValueError(
                f"frame {point[2]:g} is outside of the clip, which has {self.size[0]} frames; "
                f"give 0..{self.size[0] - 1}"
            )
        position = [
            math.floor((at - start) / cell)
            for at, start, cell in zip(point[::-1], self.origin, self.cell, strict=True)
        ]
        if not all(-1 <= k <= count for k, count in zip(position, self.shape, strict=True)):
            x0, y0, x1, y1 = self.box
            raise ValueError(
                f"point ({x:g}, {y:g}) is outside of the region x {x0:.1f}..{x1:.1f}, "
                f"y {y0:.1f}..{y1:.1f} that this block gets; give a point inside"
            )
        return tuple(
            min(max(k, 0), count - 1) for k, count in zip(position, self.shape, strict=True)
        )

    def centre_of(self, position: Sequence[int]) -> Point:
        """Return the middle, a point, of a query position's cell."""
        axes = zip(position, self.origin, self.cell, strict=True)
        return tuple(start + (k + 0.5) * cell for k, start, cell in axes)[::-1]

    def grid(self, most: int) -> list[Sides]:
        """Return query positions, at most so many, on a regular grid; none of them in the padding.

        Raises:
            ValueError: ``most`` is below 1.
        """
        if most < 1:
            raise ValueError(f"most={most}; expected at least 1 position")
        axes = zip(self.shape, self.origin, self.cell, self.size, strict=True)
        inside = [
            [k for k in range(count) if start + (k + 0.5) * cell < size]
            for count, start, cell, size in axes
        ]
        step = 1
        while math.prod(len(axis[::step]) for axis in inside) > most:
            step += 1
        return list(product(*(axis[::step] for axis in inside)))

    def key_of(self, position: Sequence[int]) -> Sides:
        """Return the key whose window holds a query position."""
        axes = zip(position, self.shape, self.key_shape, strict=True)
        return tuple(k // _window(cells, keys) for k, cells, keys in axes)

    def key_edges(self) -> list[np.ndarray]:
        """Return where keys begin and end on each axis, one number more than there are keys."""
        axes = zip(self.origin, self.cell, self.shape, self.key_shape, strict=True)
        return [start + cell * _edges(cells, keys) for start, cell, cells, keys in axes]

    def key_centres(self) -> list[np.ndarray]:
        """Return the middles of what keys cover of the image or the clip, on each axis.

        A key that is wholly in the padding keeps the middle of its cells.
        """
        centres = []
        for edges, size in zip(self.key_edges(), self.size, strict=True):
            low, high = edges[:-1], edges[1:]
            centres.append((low + np.where(low < size, np.minimum(high, size), high)) / 2)
        return centres


def _window(cells: int, keys: int) -> int:
    return -(-cells // keys)


def _edges(cells: int, keys: int) -> np.ndarray:
    return np.minimum(np.arange(keys + 1) * _window(cells, keys), cells).astype(float)


def place_over_image(
    shape: Sides, key_shape: Sides, resized: Sides, padded: Sides, size: Sides
) -> Placement:
    """Place the map of a whole batch over an image or a clip: undo padding, resizing and strides.

    Args:
        shape: of the queries.
        key_shape: of the keys.
        resized: of the image or clip as the network got it, without padding.
        padded: of the batch with its padding, which is at the bottom and right.
        size: of the image or clip before it was resized.
    """
    cell = [
        _stride(whole, cells) * given / pixels
        for whole, cells, given, pixels in zip(padded, shape, size, resized, strict=True)
    ]
    return Placement((0.0,) * len(shape), tuple(cell), shape, key_shape, size)


def _stride(pixels: int, cells: int) -> float:
    """Return the pixels of a cell: where the sizes allow it, the strides' product, a power of two.

    Without padding to a multiple, the last cell reaches beyond the image.
    """
    power = 2 ** round(math.log2(pixels / cells))
    return float(power) if -(-pixels // power) == cells else pixels / cells


def place_in_roi(shape: Sides, key_shape: Sides, box: Box, image_size: Sides) -> Placement:
    """Place the map of a RoI over its box x0, y0, x1, y1, in pixels of the image."""
    x0, y0, x1, y1 = box
    cell = max(y1 - y0, 1e-6) / shape[0], max(x1 - x0, 1e-6) / shape[1]
    return Placement((y0, x0), cell, shape, key_shape, image_size, is_roi=True)
