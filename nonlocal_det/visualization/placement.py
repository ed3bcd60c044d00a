"""Where the cells of a feature map lie in the image that the user gave."""

import math
from dataclasses import dataclass

import numpy as np

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Placement:
    """A grid of cells over an image, or over one box of it.

    Cell (row, column) covers the square behind ``x0 + column * cell_x, y0 + row * cell_y``, as
    RoIAlign and the padding masks take it; all in pixels of the image, whose first pixel covers
    0 to 1.

    Attributes:
        x0, y0: the grid's top left corner.
        cell_x, cell_y: width and height of a cell.
        shape: rows and columns of the queries.
        key_shape: rows and columns of the keys; where there are fewer, a key covers a window of
            query cells, the last one of an odd map what is left.
        image_size: height and width of the image.
        is_roi: whether the grid covers a box of the image and not the image.
    """

    x0: float
    y0: float
    cell_x: float
    cell_y: float
    shape: tuple[int, int]
    key_shape: tuple[int, int]
    image_size: tuple[int, int]
    is_roi: bool = False

    @property
    def box(self) -> Box:
        """The area of the grid: x0, y0, x1, y1; perhaps into the padding."""
        (rows, columns), x0, y0 = self.shape, self.x0, self.y0
        return x0, y0, x0 + columns * self.cell_x, y0 + rows * self.cell_y

    def position_of(self, point: Point) -> tuple[int, int]:
        """Find the query position (row, column) whose cell holds a point (x, y) of the image.

        A point within a cell's width of a region's border counts as inside of it: joints are found
        on the border itself.

        Raises:
            ValueError: the point is outside of the image, or of the region that the map covers.
        """
        x, y = point
        height, width = self.image_size
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(
                f"point ({x:g}, {y:g}) is outside of the image, which is {width} x {height} "
                f"pixels; give x in 0..{width - 1} and y in 0..{height - 1}"
            )
        column = math.floor((x - self.x0) / self.cell_x)
        row = math.floor((y - self.y0) / self.cell_y)
        rows, columns = self.shape
        if not (-1 <= column <= columns and -1 <= row <= rows):
            x0, y0, x1, y1 = self.box
            raise ValueError(
                f"point ({x:g}, {y:g}) is outside of the region x {x0:.1f}..{x1:.1f}, "
                f"y {y0:.1f}..{y1:.1f} that this block gets; give a point inside"
            )
        return min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)

    def centre_of(self, position: tuple[int, int]) -> Point:
        """Return the middle (x, y) of a query position's cell."""
        row, column = position
        return self.x0 + (column + 0.5) * self.cell_x, self.y0 + (row + 0.5) * self.cell_y

    def key_edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where keys begin and end: x (Kw + 1), y (Kh + 1)."""
        return (
            self.x0 + self.cell_x * _edges(self.shape[1], self.key_shape[1]),
            self.y0 + self.cell_y * _edges(self.shape[0], self.key_shape[0]),
        )

    def key_centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the middles of what keys cover of the image: x (Kw), y (Kh).

        A key that is wholly in the padding keeps the middle of its cells.
        """
        height, width = self.image_size
        centres = []
        for edges, size in zip(self.key_edges(), (width, height), strict=True):
            low, high = edges[:-1], edges[1:]
            centres.append((low + np.where(low < size, np.minimum(high, size), high)) / 2)
        return centres[0], centres[1]


def _edges(cells: int, keys: int) -> np.ndarray:
    window = -(-cells // keys)
    return np.minimum(np.arange(keys + 1) * window, cells).astype(float)


def place_over_image(
    shape: tuple[int, int],
    key_shape: tuple[int, int],
    resized: tuple[int, int],
    padded: tuple[int, int],
    image_size: tuple[int, int],
) -> Placement:
    """Place the map of a whole batch over an image: undo padding, resizing and strides.

    Args:
        shape: rows and columns of the queries.
        key_shape: of the keys.
        resized: height and width of the image as the network got it, without padding.
        padded: of the batch with its padding, which is at the bottom and right.
        image_size: of the image before it was resized.
    """
    height, width = image_size
    cell_x = _stride(padded[1], shape[1]) * width / resized[1]
    cell_y = _stride(padded[0], shape[0]) * height / resized[0]
    return Placement(0.0, 0.0, cell_x, cell_y, shape, key_shape, image_size)


def _stride(pixels: int, cells: int) -> float:
    """Return the pixels of a cell: where the sizes allow it, the strides' product, a power of two.

    Without padding to a multiple, the last cell reaches beyond the image.
    """
    power = 2 ** round(math.log2(pixels / cells))
    return float(power) if -(-pixels // power) == cells else pixels / cells


def place_in_roi(
    shape: tuple[int, int], key_shape: tuple[int, int], box: Box, image_size: tuple[int, int]
) -> Placement:
    """Place the map of a RoI over its box x0, y0, x1, y1, in pixels of the image."""
    x0, y0, x1, y1 = box
    cell_x, cell_y = max(x1 - x0, 1e-6) / shape[1], max(y1 - y0, 1e-6) / shape[0]
    return Placement(x0, y0, cell_x, cell_y, shape, key_shape, image_size, is_roi=True)
