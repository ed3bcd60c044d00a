"""Check polygons, thousands at once: one long array of points, cut where a polygon ends."""

from itertools import chain
from typing import Any

import numpy as np

from .findings import Findings
from .table import AnnotationTable, numbers

SLACK = 2.0  # pixels: people outline objects by hand
MAX_SEARCHED = 20_000  # polygons that are searched for crossings
MAX_POINTS = 200  # of a polygon that is searched; the time goes with their square
HUGE = 2**62  # integers beyond it are not numbers here; see `numbers`

Owned = tuple[int, list[float]]  # a row of the table, and a polygon


class CrossingSearch:
    """Counts the polygons that have been searched for crossings, over all parts of a file."""

    def __init__(self) -> None:
        self.left = MAX_SEARCHED


def check_polygons(
    table: AnnotationTable,
    polygons: list[Owned],
    extents: np.ndarray,
    search: CrossingSearch,
    findings: Findings,
) -> None:
    """Check some polygons of a table.

    Args:
        table: n annotations.
        polygons: by row of the table, rising.
        extents: (n, 4), gets the x0, y0, x1, y1 of the rows that have polygons.
        search: where the search for crossings stands.
        findings: gets what is wrong.
    """
    usable = _drop_short(table, _drop_malformed(table, polygons, findings), findings)
    if not usable:
        return
    owners = np.array([row for row, _ in usable])
    lengths = np.array([len(points) // 2 for _, points in usable])
    # all points of all polygons: (sum of lengths, 2)
    points = np.array(list(chain.from_iterable(p for _, p in usable)), float).reshape(-1, 2)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
        areas = _areas(points, starts, lengths)
        finite = np.isfinite(low).all(1) & np.isfinite(high).all(1)
        # a tenth of a square pixel, or what rounding makes of collinear points
        flat = finite & (areas < 0.1)
        sizes = table.sizes[owners]
        over = finite & ((low < -SLACK) | (high > sizes + SLACK)).any(1)
    _note(table, owners[~finite], "polygon_not_finite", "a coordinate is NaN or inf", findings)
    _note(table, owners[flat], "polygon_flat", "no area", findings)
    _note(table, owners[over], "polygon_over_edge", "beyond the image's edge", findings)
    _check_boxes(table, owners[finite], low[finite], high[finite], extents, findings)
    for k in np.flatnonzero(finite & ~flat & (lengths <= MAX_POINTS))[: search.left]:
        search.left -= 1
        if crosses_itself(points[starts[k] : starts[k] + lengths[k]]):
            _note(table, owners[k : k + 1], "polygon_crossing", "crosses itself", findings)


def _drop_malformed(
    table: AnnotationTable, polygons: list[Owned], findings: Findings
) -> list[Owned]:
    """Those that are lists of numbers; asked one by one only if there are others."""
    values = list(chain.from_iterable(points for _, points in polygons))
    if not values:
        return polygons
    if set(map(type, values)) <= {int, float} and -HUGE < min(values) <= max(values) < HUGE:
        return polygons
    good = []
    for row, points in polygons:
        if numbers(points):
            good.append((row, points))
        else:
            position = int(table.positions[row])
            findings.annotation("polygon_malformed", position, f"{points!r}"[:100])
    return good


def _drop_short(table: AnnotationTable, polygons: list[Owned], findings: Findings) -> list[Owned]:
    """Those of at least 3 whole points."""
    good = []
    for row, points in polygons:
        if len(points) % 2 == 0 and len(points) >= 6:
            good.append((row, points))
            continue
        kind = "polygon_odd" if len(points) % 2 else "polygon_short"
        findings.annotation(kind, int(table.positions[row]), f"{len(points)} coordinates")
    return good


def _areas(points: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Areas by the shoelace formula, from each polygon's first point: large offsets cancel."""
    local = points - np.repeat(points[starts], lengths, axis=0)
    following = np.arange(1, len(points) + 1)
    following[starts + lengths - 1] = starts
    cross = local[:, 0] * local[following, 1] - local[following, 0] * local[:, 1]
    result: np.ndarray = np.abs(np.add.reduceat(cross, starts)) / 2
    return result


def _check_boxes(
    table: AnnotationTable,
    owners: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    extents: np.ndarray,
    findings: Findings,
) -> None:
    """Compare what an annotation's polygons enclose with its box."""
    if not len(owners):
        return
    rows, first = np.unique(owners, return_index=True)
    extents[rows, :2] = np.minimum.reduceat(low, first)
    extents[rows, 2:] = np.maximum.reduceat(high, first)
    boxes = table.boxes[rows]
    start, end = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    with np.errstate(invalid="ignore"):
        whole = np.isfinite(boxes).all(1) & (boxes[:, 2:] > 0).all(1)
        off = whole & ((extents[rows, 2:] < start) | (extents[rows, :2] > end)).any(1)
        slack = np.maximum(SLACK, 0.1 * boxes[:, 2:])
        over = (extents[rows, :2] < start - slack) | (extents[rows, 2:] > end + slack)
    for kind, where in (
        ("polygon_off_box", off),
        ("polygon_over_box", whole & ~off & over.any(1)),
    ):
        for row in rows[where]:
            ends = ", ".join(f"{value:.1f}" for value in extents[row])
            box = ", ".join(f"{value:.1f}" for value in table.boxes[row])
            said = f"polygons from (x0, y0, x1, y1) = ({ends}), bbox [{box}]"
            findings.annotation(kind, int(table.positions[row]), said)


def _note(
    table: AnnotationTable, rows: np.ndarray, kind: str, said: str, findings: Findings
) -> None:
    findings.every(kind, table.positions[rows], lambda one: said)


def crosses_itself(points: Any) -> bool:
    """Whether two edges of a closed polygon cross, at a point inside of both.

    Args:
        points: (n, 2), n at least 3.
    """
    start = np.asarray(points, float)
    end = np.roll(start, -1, axis=0)

    def side(a: np.ndarray, b: np.ndarray, p: np.ndarray) -> np.ndarray:
        """(n, n): on which side of the edge i, from a to b, the point p of the edge j lies."""
        d = (b - a)[:, None]
        v = p[None] - a[:, None]
        found: np.ndarray = np.sign(d[..., 0] * v[..., 1] - d[..., 1] * v[..., 0])
        return found

    parts = side(start, end, start) * side(start, end, end) < 0
    return bool((parts & parts.T).any())
