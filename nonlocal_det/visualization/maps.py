"""Where one query position looks, in pixels of the image."""

from dataclasses import dataclass

import numpy as np

from .placement import Placement, Point


@dataclass(frozen=True)
class AttentionMap:
    """One row of a block's affinity, f(x_i, x_j) / C(x) over all keys j, placed over the image.

    Attributes:
        block: the block's full name.
        query: the point (x, y) that was asked for, in pixels of the image.
        position: the query position (row, column) that holds it.
        weights: of the keys (Kh, Kw), float64; 0 where a key is not real.
        real: bool (Kh, Kw): False for a key that sees padding alone.
        placement: where the keys lie.
        signed: whether weights may be below 0: the dot product's.
    """

    block: str
    query: Point
    position: tuple[int, int]
    weights: np.ndarray
    real: np.ndarray
    placement: Placement
    signed: bool = False

    @property
    def shares(self) -> np.ndarray:
        """How much each key takes part, (Kh, Kw), adding up to 1: ``|f_ij| / sum_j |f_ij|``.

        These are the weights themselves for the softmax forms. The dot product's signs are left
        out, the concatenation's sum is made 1. All nan where every weight is 0: it looks nowhere.
        """
        size = np.abs(self.weights)
        total = size.sum()
        shares: np.ndarray = size / total if total > 0 else np.full(size.shape, np.nan)
        return shares

    def strongest(self, count: int) -> list[tuple[Point, float]]:
        """The keys with the largest ``|f|``: their centres (x, y) and weights, the first first.

        Args:
            count: at most so many; keys that weigh nothing are left out.

        Raises:
            ValueError: ``count`` is below 1.
        """
        if count < 1:
            raise ValueError(f"count={count}; expected at least 1 of the strongest positions")
        xs, ys = self.placement.key_centres()
        flat = self.weights.reshape(-1)
        order = np.argsort(-np.abs(flat), kind="stable")[:count]
        return [
            ((float(xs[k % len(xs)]), float(ys[k // len(xs)])), float(flat[k]))
            for k in order
            if flat[k] != 0
        ]

    def to_image(self, *, smooth: bool = False) -> np.ndarray:
        """The weight of the key that covers each pixel of the image, (H, W).

        Args:
            smooth: interpolate linearly between the centres of the keys instead.

        Returns:
            float64; 0 outside of the region that a RoI's block sees.
        """
        height, width = self.placement.image_size
        edges_x, edges_y = self.placement.key_edges()
        to_rows = _resampler(edges_y, height, smooth)  # (H, Kh)
        to_columns = _resampler(edges_x, width, smooth)  # (W, Kw)
        image: np.ndarray = to_rows @ self.weights @ to_columns.T
        return image


def _resampler(edges: np.ndarray, pixels: int, smooth: bool) -> np.ndarray:
    """What each key gives each pixel of one axis: (pixels, keys), a row adding up to 1 or 0."""
    middles = np.arange(pixels) + 0.5
    keys = len(edges) - 1
    inside = (middles >= edges[0]) & (middles < edges[-1])
    if smooth:
        centres = (edges[:-1] + edges[1:]) / 2
        shares = np.stack([np.interp(middles, centres, one) for one in np.eye(keys)], axis=1)
    else:
        shares = np.eye(keys)[np.clip(np.searchsorted(edges, middles, "right") - 1, 0, keys - 1)]
    kept: np.ndarray = shares * inside[:, None]
    return kept
