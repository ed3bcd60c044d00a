"""Where one query position attends, in pixels of the image, and what that amounts to in numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .placement import Box, Placement, Point

PLACES = ("own", "others", "background", "padding")
STATISTICS = ("entropy_bits", "entropy_share", "distance_px", *PLACES)


@dataclass(frozen=True)
class AttentionMap:
    """One row of a block's affinity, f(x_i, x_j) / C(x) over all keys j, placed over the image.

    Attributes:
        block: the block's full name.
        query: the point (x, y) that was asked for, in pixels of the image.
        position: the query position (row, column) that holds it.
        weights: of the keys (Kh, Kw), float64; 0 where a key is not real.
        real: bool (Kh, Kw): False for a key that covers padding only.
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
        """The share of each key, (Kh, Kw), adding up to 1: ``|f_ij| / sum_j |f_ij|``.

        These are the weights themselves for the softmax forms. The dot product's signs are left
        out, the concatenation's sum is made 1. All nan where every weight is 0.
        """
        size = np.abs(self.weights)
        total = size.sum()
        shares: np.ndarray = size / total if total > 0 else np.full(size.shape, np.nan)
        return shares

    def strongest(self, count: int) -> list[tuple[Point, float]]:
        """Return the centres (x, y) and weights of the keys with the largest ``|f|``, in order.

        Args:
            count: at most so many; keys of weight 0 are left out.

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
        """Return for each pixel of the image the weight of the key that covers it, (H, W).

        Args:
            smooth: interpolate linearly between the centres of the keys instead.

        Returns:
            float64; 0 outside of the region of a RoI's block.
        """
        height, width = self.placement.image_size
        edges_x, edges_y = self.placement.key_edges()
        to_rows = _resampler(edges_y, height, smooth)  # (H, Kh)
        to_columns = _resampler(edges_x, width, smooth)  # (W, Kw)
        image: np.ndarray = to_rows @ self.weights @ to_columns.T
        return image


def describe_map(attention: AttentionMap, own: Box, others: Sequence[Box] = ()) -> dict[str, float]:
    """Measure how spread, how far and on what a query attends, by `AttentionMap.shares`, p_j.

    A key counts at its centre: in the own box, else in one of the others, else in the background.

    Args:
        attention: of the query.
        own: the box x0, y0, x1, y1 of the query's own instance, in pixels of the image.
        others: those of the other instances.

    Returns:
        The numbers of `STATISTICS`, all nan where every weight is 0, as the concatenation's can be:

        - ``entropy_bits``: ``- sum_j p_j log2 p_j``, from 0 (one key) to log2 of the real keys;
        - ``entropy_share``: that over log2 of the real keys, 0 to 1; 0 where there is one key;
        - ``distance_px``: ``sum_j p_j |c_j - c_i|``, from the middle c_i of the query position's
          cell to the keys' centres, in pixels of the image;
        - ``own``, ``others``, ``background``, ``padding``: the share in each, adding up to 1.
    """
    p = attention.shares
    if np.isnan(p).any():
        return dict.fromkeys(STATISTICS, math.nan)
    placement = attention.placement
    x, y = np.meshgrid(*placement.key_centres())  # each (Kh, Kw)
    at = placement.centre_of(attention.position)
    height, width = placement.image_size
    outside = (x >= width) | (y >= height)
    in_own = _inside(x, y, own) & ~outside
    in_others = np.zeros_like(outside)
    for box in others:
        in_others |= _inside(x, y, box)
    in_others &= ~in_own & ~outside
    entropy = -float((p[p > 0] * np.log2(p[p > 0])).sum())
    keys = int(attention.real.sum())
    return {
        "entropy_bits": abs(entropy),  # and not -0
        "entropy_share": abs(entropy) / math.log2(keys) if keys > 1 else 0.0,
        "distance_px": float((p * np.hypot(x - at[0], y - at[1])).sum()),
        "own": float(p[in_own].sum()),
        "others": float(p[in_others].sum()),
        "background": float(p[~in_own & ~in_others & ~outside].sum()),
        "padding": float(p[outside].sum()),
    }


def query_independence(maps: Sequence[AttentionMap]) -> float:
    """Measure whether queries attend to the same: would a global context block do?

    *Source*: the question, and the cosine, of Cao et al., GCNet, 2019, Sec. 3.2 and Table 1. With
    u_i the row of query i, divided by its length, and K queries::

        1 / (K (K - 1)) * sum_{i != k} u_i . u_k

    Args:
        maps: of K queries of one image (or region), by one block.

    Returns:
        1 where all rows are the same up to a factor; 0 where no two queries share a key, as when
        each attends to itself only. Between them for weights that are not negative; those of the
        dot product have signs, and reach down to -1 / (K - 1). nan for fewer than two rows that
        are not all 0.

    Note:
        The sum over pairs is ``|sum_i u_i|^2 - K``: O(K Q).
    """
    rows = np.stack([attention.weights.reshape(-1) for attention in maps])  # (K, Q)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units = rows[lengths[:, 0] > 0] / lengths[lengths[:, 0] > 0]
    count = len(units)
    if count < 2:
        return math.nan
    total = units.sum(0)
    return float((total @ total - count) / (count * (count - 1)))


def _inside(x: np.ndarray, y: np.ndarray, box: Box) -> np.ndarray:
    x0, y0, x1, y1 = box
    inside: np.ndarray = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    return inside


def _resampler(edges: np.ndarray, pixels: int, smooth: bool) -> np.ndarray:
    """Return the share of each key in each pixel of an axis, (pixels, keys); rows sum to 1 or 0."""
    middles = np.arange(pixels) + 0.5
    keys = len(edges) - 1
    inside = (middles >= edges[0]) & (middles < edges[-1])
    if smooth:
        centres = (edges[:-1] + edges[1:]) / 2
        shares = np.stack([np.interp(middles, centres, unit) for unit in np.eye(keys)], axis=1)
    else:
        shares = np.eye(keys)[np.clip(np.searchsorted(edges, middles, "right") - 1, 0, keys - 1)]
    resampler: np.ndarray = shares * inside[:, None]
    return resampler
