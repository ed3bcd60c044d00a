"""Check what annotations say about themselves (ids, crowds, areas) and their boxes, in bulk."""

from collections import Counter
from typing import Any

import numpy as np

from .findings import Findings
from .table import AnnotationTable

SLACK = 1.0  # pixels by which a box may reach over an edge: rounding
ENOUGH = 8  # boxes from which on a whole file is judged


def check_fields(table: AnnotationTable, findings: Findings) -> None:
    """Check ids, iscrowd, ignore and area."""
    ids = Counter(one["id"] for one in table.rows)
    repeated = {number for number, count in ids.items() if count > 1}
    seen: set[int] = set()
    for position, one in zip(table.positions.tolist(), table.rows, strict=True):
        number = one["id"]
        if number in repeated:
            if number in seen:
                findings.annotation("annotation_id_duplicate", position, f"the id {number} again")
            seen.add(number)
        if number == 0:
            findings.annotation("annotation_id_zero", position, "id is 0")
        if "iscrowd" not in one:
            findings.annotation("iscrowd_absent", position, "no iscrowd")
        elif one["iscrowd"] not in (0, 1):
            findings.annotation("iscrowd_invalid", position, f"iscrowd is {one['iscrowd']!r}")
        if one.get("ignore", 0) != 0:
            findings.annotation("ignore_set", position, f"ignore is {one['ignore']!r}")
        if "area" not in one:
            findings.annotation("area_absent", position, "no area")
        elif not _is_area(one["area"], one["bbox"]):
            said = f"area is {one['area']!r}, the box is {_round(one['bbox'])}"
            findings.annotation("area_wrong", position, said)


def _is_area(area: Any, box: Any) -> bool:
    if isinstance(area, bool) or not isinstance(area, int | float):
        return False
    return 0 <= area <= 1.1 * abs(box[2] * box[3]) + 1 or box[2] * box[3] != box[2] * box[3]


def check_boxes(table: AnnotationTable, findings: Findings) -> np.ndarray:
    """Check every box by itself.

    Returns:
        (n,) bool: the boxes that are finite and have an area.
    """
    x, y, w, h = table.boxes.T
    width, height = table.sizes.T
    finite = np.isfinite(table.boxes).all(1)
    with np.errstate(invalid="ignore", over="ignore"):
        negative = finite & ((w < 0) | (h < 0))
        zero = finite & ~negative & ((w == 0) | (h == 0))
        whole = finite & ~negative & ~zero
        outside = whole & ((x >= width) | (y >= height) | (x + w <= 0) | (y + h <= 0))
        over = (x < -SLACK) | (y < -SLACK) | (x + w > width + SLACK) | (y + h > height + SLACK)
        over &= whole & ~outside
        tiny = whole & ((w < 1) | (h < 1))
    for kind, where in (
        ("box_not_finite", ~finite),
        ("box_negative", negative),
        ("box_zero", zero),
        ("box_outside", outside),
        ("box_over_edge", over),
        ("box_tiny", tiny),
    ):
        for row in np.flatnonzero(where).tolist():
            findings.annotation(kind, int(table.positions[row]), _said(table, row))
    _check_duplicates(table, finite, findings)
    return whole


def _said(table: AnnotationTable, row: int) -> str:
    width, height = table.sizes[row]
    image = f", the image is {width:.0f} x {height:.0f}" if np.isfinite(width) else ""
    return f"bbox is {_round(table.rows[row]['bbox'])}{image}"


def _round(box: Any) -> list[float]:
    return [round(float(value), 2) for value in box]


def _check_duplicates(table: AnnotationTable, finite: np.ndarray, findings: Findings) -> None:
    """Equal image, category and box: sorted, so that equals are neighbours."""
    rows = np.flatnonzero(finite)
    keys = np.column_stack([table.image[rows], table.category[rows], table.boxes[rows]])
    order = np.lexsort(keys.T)  # stable: of equals, the first stays first
    same = (keys[order[1:]] == keys[order[:-1]]).all(1)
    repeated = np.sort(rows[order[1:][same]])
    findings.every(
        "annotation_duplicate", table.positions[repeated], lambda a: f"bbox {_round(a['bbox'])}"
    )


def check_convention(
    table: AnnotationTable, whole: np.ndarray, extents: np.ndarray, findings: Findings
) -> None:
    """Find out whether the whole file has other boxes than COCO's.

    Args:
        table: n annotations.
        whole: (n,) bool, boxes with an area.
        extents: (n, 4), x0, y0, x1, y1 of the polygons; NaN without polygons.
        findings: gets what is found.
    """
    rows = whole & np.isfinite(table.sizes).all(1)
    if rows.sum() < ENOUGH:
        return
    boxes, sizes = table.boxes[rows], table.sizes[rows]
    if boxes.max() <= 1.0 and np.median(sizes) > 4:
        findings.file("boxes_relative", f"{len(boxes)} boxes, no number above {boxes.max():.3g}")
        return
    corners = ((boxes[:, 2:] > boxes[:, :2]) & (boxes[:, 2:] <= sizes + SLACK)).all(1).mean()
    leaving = (boxes[:, :2] + boxes[:, 2:] > sizes + SLACK).any(1).mean()
    outlined = np.isfinite(extents[rows]).all(1)
    agree = np.abs(boxes - extents[rows])[outlined].max(1, initial=0) <= 2
    if (corners >= 0.99 and leaving > 0.2) or (outlined.sum() >= ENOUGH and agree.mean() > 0.5):
        said = f"read as (x, y, width, height), {leaving:.0%} of {len(boxes)} boxes leave the image"
        findings.file("boxes_xyxy", f"{said}; as corners, {1 - corners:.0%}")
