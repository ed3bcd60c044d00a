"""What one attention map, and a set of them, amount to in numbers."""

import math
from collections.abc import Sequence

import numpy as np

from .maps import AttentionMap
from .placement import Box

PLACES = ("own", "others", "background", "padding")
STATISTICS = ("entropy_bits", "entropy_share", "distance_px", *PLACES)


def describe_map(seen: AttentionMap, own: Box, others: Sequence[Box] = ()) -> dict[str, float]:
    """How spread, how far and on what a query looks; of `AttentionMap.shares`, p_j.

    A key counts at its centre: in the own box, else in one of the others, else in the background.

    Args:
        seen: where the query looks.
        own: the box x0, y0, x1, y1 of the query's own instance, in pixels of the image.
        others: those of the other instances.

    Returns:
        - ``entropy_bits``: ``- sum_j p_j log2 p_j``, from 0 (one key) to log2 of the real keys;
        - ``entropy_share``: that over log2 of the real keys, 0 to 1; 0 where there is one key;
        - ``distance_px``: ``sum_j p_j |c_j - c_i|``, from the middle c_i of the query position's
          cell to the keys' centres, in pixels of the image;
        - ``own``, ``others``, ``background``, ``padding``: the share in each, adding up to 1.

        All nan where every weight is 0, as the concatenation's can be.
    """
    p = seen.shares
    if np.isnan(p).any():
        return dict.fromkeys(STATISTICS, math.nan)
    xs, ys = seen.placement.key_centres()
    x, y = np.meshgrid(xs, ys)  # each (Kh, Kw)
    at = seen.placement.centre_of(seen.position)
    height, width = seen.placement.image_size
    outside = (x >= width) | (y >= height)
    in_own = _inside(x, y, own) & ~outside
    in_others = np.zeros_like(outside)
    for box in others:
        in_others |= _inside(x, y, box)
    in_others &= ~in_own & ~outside
    entropy = -float((p[p > 0] * np.log2(p[p > 0])).sum())
    keys = int(seen.real.sum())
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
    """Whether queries look at the same: would a global context block do?

    *Source*: the question, and the cosine, of Cao et al., GCNet, 2019, Sec. 3.2 and Table 1. With
    u_i the row of query i, divided by its length, and K queries::

        1 / (K (K - 1)) * sum_{i != k} u_i . u_k

    Args:
        maps: where K queries of one image (or region) look, by one block.

    Returns:
        1 where all rows are the same up to a factor; 0 where no two queries share a key, as when
        each looks at itself alone. Between them for weights that are not negative; those of the
        dot product have signs, and reach down to -1 / (K - 1). nan for fewer than two rows that
        are not all 0.

    Note:
        The sum over pairs is ``|sum_i u_i|^2 - K``: O(K Q).
    """
    rows = np.stack([seen.weights.reshape(-1) for seen in maps])  # (K, Q)
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
