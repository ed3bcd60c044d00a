"""Where one query position attends in an image or a clip, and what that amounts to in numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .placement import Box, Placement, Point, Sides

PLACES = ("own", "others", "background", "padding")
STATISTICS = ("entropy_bits", "entropy_share", "distance_px", *PLACES)
"""Of a query of an image with the boxes of its instances."""

REACHES = ("space", "time", "spacetime")
CLIP_STATISTICS = ("entropy_bits", "entropy_share", "distance_px", "distance_frames", *REACHES)
"""Of a query of a clip."""


@dataclass(frozen=True)
class AttentionMap:
    """One row of a block's affinity, f(x_i, x_j) / C(x) over all keys j, placed over the image.

    *K are the sides of the keys: (Kh, Kw) of an image, (Kt, Kh, Kw) of a clip.

    Attributes:
        block: the block's full name.
        query: the point that was asked for: (x, y) in pixels of the image, of a clip with frame.
        position: the query position that holds it: (row, column), of a clip (step, row, column).
        weights: of the keys (*K), float64; 0 where a key is not visible.
        visible: bool (*K): False for a key that the query cannot attend to: one that covers padding
            only, or is in another group of a block over space, over time or within windows.
        placement: where the keys lie.
        signed: whether weights may be below 0: the dot product's.
    """

    block: str
    query: Point
    position: Sides
    weights: np.ndarray
    visible: np.ndarray
    placement: Placement
    signed: bool = False

    @property
    def query_xy(self) -> tuple[float, float]:
        """The x and y of the query."""
        return self.query[0], self.query[1]

    @property
    def shares(self) -> np.ndarray:
        """The share of each key, (*K), adding up to 1: ``|f_ij| / sum_j |f_ij|``.

        These are the weights themselves for the softmax forms. The dot product's signs are left
        out, the concatenation's sum is made 1. All nan where every weight is 0.
        """
        size = np.abs(self.weights)
        total = size.sum()
        shares: np.ndarray = size / total if total > 0 else np.full(size.shape, np.nan)
        return shares

    @property
    def over_time(self) -> np.ndarray:
        """The share of each time step of a clip, (Kt), adding up to 1."""
        over_time: np.ndarray = self.shares.sum(axis=(1, 2))
        return over_time

    def strongest(self, count: int) -> list[tuple[Point, float]]:
        """Return centres (points) and weights of the keys with the largest ``|f|``, in order.

        Args:
            count: at most so many; keys of weight 0 are left out.

        Raises:
            ValueError: ``count`` is below 1.
        """
        if count < 1:
            raise ValueError(f"count={count}; expected at least 1 of the strongest positions")
        centres = self.placement.key_centres()
        flat = self.weights.reshape(-1)
        order = np.argsort(-np.abs(flat), kind="stable")[:count]
        strongest = []
        for k in order[flat[order] != 0]:
            at = np.unravel_index(k, self.weights.shape)
            point = tuple(float(axis[i]) for axis, i in zip(centres, at, strict=True))[::-1]
            strongest.append((point, float(flat[k])))
        return strongest

    def to_image(self, *, smooth: bool = False) -> np.ndarray:
        """Return for each pixel of the image the weight of the key that covers it, (H, W).

        Args:
            smooth: interpolate linearly between the centres of the keys instead.

        Returns:
            float64; 0 outside of the region of a RoI's block.
        """
        height, width = self.placement.image_size
        edges_y, edges_x = self.placement.key_edges()
        to_rows = _resampler(edges_y, height, smooth)  # (H, Kh)
        to_columns = _resampler(edges_x, width, smooth)  # (W, Kw)
        image: np.ndarray = to_rows @ self.weights @ to_columns.T
        return image


def describe_map(
    attention: AttentionMap, own: Box | None = None, others: Sequence[Box] = ()
) -> dict[str, float]:
    """Measure how spread, how far and on what a query attends, by `AttentionMap.shares`, p_j.

    A key counts at its centre: in the own box, else in one of the others, else in the background.

    Args:
        attention: of the query, of an image or a clip.
        own: the box x0, y0, x1, y1 of the query's own instance, in pixels of the image.
        others: those of the other instances.

    Returns:
        The numbers below, all nan where every weight is 0, as the concatenation's can be:

        - ``entropy_bits``: ``- sum_j p_j log2 p_j``, from 0 (one key) to log2 of the visible keys;
        - ``entropy_share``: that over log2 of the visible keys, 0 to 1; 0 where there is one key;
        - ``distance_px``: ``sum_j p_j |c_j - c_i|``, from the middle c_i of the query position's
          cell to the keys' centres, in pixels of the image.

        Of a clip also:

        - ``distance_frames``: the same along time, in frames of the clip;
        - ``space``, ``time``, ``spacetime``: the share in the query's own frame, in its place in
          the other frames, and in the rest, adding up to 1: a block over space has the first only,
          one over time the second and its own place.

        With ``own`` also:

        - ``own``, ``others``, ``background``, ``padding``: the share in each, adding up to 1.
    """
    p, placement = attention.shares, attention.placement
    of_clip = CLIP_STATISTICS if p.ndim == 3 else STATISTICS[:3]
    if np.isnan(p).any():
        return dict.fromkeys((*of_clip, *(PLACES if own else ())), math.nan)
    *frame, y, x = np.meshgrid(*placement.key_centres(), indexing="ij")  # each (*K)
    at = placement.centre_of(attention.position)
    entropy = -float((p[p > 0] * np.log2(p[p > 0])).sum())
    keys = int(attention.visible.sum())
    result = {
        "entropy_bits": abs(entropy),  # and not -0
        "entropy_share": abs(entropy) / math.log2(keys) if keys > 1 else 0.0,
        "distance_px": float((p * np.hypot(x - at[0], y - at[1])).sum()),
    }
    if frame:
        step, row, column = placement.key_of(attention.position)
        rest = np.delete(p, step, axis=0)  # the other frames
        at_place = float(rest[:, row, column].sum())
        rest[:, row, column] = 0
        result["distance_frames"] = float((p * np.abs(frame[0] - at[2])).sum())
        result |= {"space": float(p[step].sum()), "time": at_place, "spacetime": float(rest.sum())}
    if own is None:
        return result
    height, width = placement.image_size
    outside = (x >= width) | (y >= height)
    in_own = _inside(x, y, own) & ~outside
    in_others = np.zeros_like(outside)
    for box in others:
        in_others |= _inside(x, y, box)
    in_others &= ~in_own & ~outside
    return {
        **result,
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

    Pairs of queries that see different keys do not count: those of two groups of a block over
    space, over time or within windows have none in common whatever it has learnt.

    Args:
        maps: of K queries of one image, region or clip, by one block.

    Returns:
        1 where all rows are the same up to a factor; 0 where no two queries share a key, as when
        each attends to itself only. Between them for weights that are not negative; those of the
        dot product have signs, and reach down to -1 / (K - 1). nan where no pair of rows counts,
        or they are all 0.

    Note:
        The sum over the pairs of a group is ``|sum_i u_i|^2 - K``: O(K Q).
    """
    groups: dict[bytes, list[np.ndarray]] = {}
    for attention in maps:
        groups.setdefault(attention.visible.tobytes(), []).append(attention.weights.reshape(-1))
    cosines, pairs = 0.0, 0
    for rows in map(np.stack, groups.values()):  # (K, Q)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        units = rows[lengths[:, 0] > 0] / lengths[lengths[:, 0] > 0]
        total, count = units.sum(0), len(units)
        cosines += float(total @ total - count)
        pairs += count * (count - 1)
    return cosines / pairs if pairs else math.nan


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
