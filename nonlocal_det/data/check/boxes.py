"""Check what annotations say about themselves (ids, crowds, areas) and their boxes, in bulk."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .findings import Findings
from .rows import Annotation, AnnotationColumns

SLACK = 1.0  # pixels by which a box may reach over an edge: rounding
MIN_BOXES = 8  # from which on the convention of a whole file is judged


def is_area_possible(area: Any, box: Sequence[float]) -> bool:
    """Whether an area is a number above 0 that an object in a box of COCO's form can have.

    At most a tenth and a pixel above the box's area, and at least a pixel, where it has one: a
    share of the image would be less.
    """
    size = abs(box[2] * box[3])
    return isinstance(area, int | float) and area > 0 and min(1, size) <= area <= 1.1 * size + 1


def check_fields(rows: list[Annotation], table: AnnotationColumns, findings: Findings) -> None:
    """Check iscrowd and area."""
    for row, position in zip(rows, table.positions.tolist(), strict=True):
        if row.iscrowd not in (0, 1):
            findings.annotation("iscrowd_invalid", position, f"iscrowd is {row.iscrowd!r}")
        if row.area is None:
            findings.annotation("area_absent", position, "no area")
            continue
        # a box without a size is another kind of issue
        if not is_area_possible(row.area, row.bbox) and row.bbox[2] * row.bbox[3]:
            detail = f"area is {row.area!r}, the box is {_round(row.bbox)}"
            findings.annotation("area_wrong", position, detail)


def check_boxes(table: AnnotationColumns, findings: Findings) -> None:
    """Check every box by itself."""
    x, y, w, h = table.boxes.T
    width, height = table.sizes.T
    finite = np.isfinite(table.boxes).all(1)
    with np.errstate(invalid="ignore", over="ignore"):
        negative = finite & ((w < 0) | (h < 0))
        zero = finite & ~negative & ((w == 0) | (h == 0))
        good = finite & ~negative & ~zero
        outside = good & ((x >= width) | (y >= height) | (x + w <= 0) | (y + h <= 0))
        over = (x < -SLACK) | (y < -SLACK) | (x + w > width + SLACK) | (y + h > height + SLACK)
        over &= good & ~outside
    for kind, where in (
        ("box_not_finite", ~finite),
        ("box_negative", negative),
        ("box_zero", zero),
        ("box_outside", outside),
        ("box_over_edge", over),
    ):
        for row in np.flatnonzero(where).tolist():
            detail = f"bbox is {_round(table.boxes[row])}"
            if np.isfinite(width[row]):
                detail += f", the image is {width[row]:.0f} x {height[row]:.0f}"
            findings.annotation(kind, int(table.positions[row]), detail)


def _round(box: np.ndarray | tuple[float, ...]) -> list[float]:
    return [round(float(value), 2) for value in box]


def check_ids(table: AnnotationColumns, findings: Findings) -> None:
    """Find ids that are 0 or not unique, and objects that are equal to an earlier one."""
    findings.annotations("annotation_id_zero", table.positions[table.ids == 0], "id is 0")
    later = np.ones(len(table.ids), bool)
    later[np.unique(table.ids, return_index=True)[1]] = False
    findings.annotations(
        "annotation_id_duplicate", table.positions[later], lambda a: f"the id {a['id']} again"
    )
    rows = np.flatnonzero(np.isfinite(table.boxes).all(1))
    keys = np.column_stack([table.image[rows], table.category[rows], table.boxes[rows]])
    order = np.lexsort(keys.T)  # equals are neighbours; stable: the first stays first
    same = (keys[order[1:]] == keys[order[:-1]]).all(1)
    repeated = np.sort(rows[order[1:][same]])
    findings.annotations(
        "annotation_duplicate", table.positions[repeated], lambda a: f"bbox {_round(a['bbox'])}"
    )


def check_convention(table: AnnotationColumns, findings: Findings) -> None:
    """Find out whether the whole file has other boxes than COCO's."""
    usable = np.isfinite(table.boxes).all(1) & (table.boxes[:, 2:] > 0).all(1)
    usable &= np.isfinite(table.sizes).all(1)
    if usable.sum() < MIN_BOXES:
        return
    boxes, sizes, extents = table.boxes[usable], table.sizes[usable], table.extents[usable]
    if boxes.max() <= 1.0 and np.median(sizes) > 4:
        findings.file("boxes_relative", f"{len(boxes)} boxes, no number above {boxes.max():.3g}")
        return
    ends = boxes[:, :2] + boxes[:, 2:]
    corners = ((boxes[:, 2:] > boxes[:, :2]) & (boxes[:, 2:] <= sizes + SLACK)).all(1).mean()
    leaving = (ends > sizes + SLACK).any(1).mean()
    outlined = np.isfinite(extents).all(1)
    fits_corners = (np.abs(boxes - extents) <= 2).all(1)[outlined]
    fits_coco = (np.abs(np.hstack([boxes[:, :2], ends]) - extents) <= 2).all(1)[outlined]
    # a box that begins at (0, 0) is the same in both
    outlines_say = outlined.sum() >= MIN_BOXES and (fits_corners & ~fits_coco).mean() > 0.5
    if (corners >= 0.99 and leaving > 0.2) or outlines_say:
        read = f"read as (x, y, width, height), {leaving:.0%} of {len(boxes)} boxes leave the image"
        findings.file("boxes_xyxy", f"{read}; as corners, {1 - corners:.0%}")
