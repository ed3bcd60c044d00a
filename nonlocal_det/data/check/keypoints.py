"""Check keypoints: their number, flags and places, in bulk where their number is right."""

import math
from typing import Any

import numpy as np

from .findings import Findings
from .table import AnnotationTable, numbers


def check_keypoints(
    table: AnnotationTable, categories: dict[int, dict[str, Any]], findings: Findings
) -> None:
    """Check the keypoints of a file that has any.

    Args:
        table: n annotations.
        categories: by id; "keypoints" names a category's keypoints.
        findings: gets what is wrong.
    """
    has = [bool(one.get("keypoints")) for one in table.rows]
    if not any(has):
        return
    _check_absent(table, has, findings)
    expected = {number: _named(one) for number, one in categories.items()}
    by_length: dict[int, list[int]] = {}
    for row, one in enumerate(table.rows):
        if has[row] and _is_list(one["keypoints"], int(table.positions[row]), findings):
            length = len(one["keypoints"])
            known = expected.get(one["category_id"])
            if length % 3 or (known and length != 3 * known):
                said = f"{length} numbers; expected {f'3 x {known}' if known else 'threes'}"
                findings.annotation("keypoints_count", int(table.positions[row]), said)
            else:
                by_length.setdefault(length // 3, []).append(row)
    for count, rows in by_length.items():
        _check_places(table, np.array(rows), count, findings)


def _named(category: dict[str, Any]) -> int | None:
    names = category.get("keypoints")
    return len(names) if isinstance(names, list) else None


def _is_list(keypoints: Any, position: int, findings: Findings) -> bool:
    if numbers(keypoints):
        return True
    findings.annotation("keypoints_malformed", position, f"keypoints are {keypoints!r}"[:200])
    return False


def _check_absent(table: AnnotationTable, has: list[bool], findings: Findings) -> None:
    """Of the objects of one image, all must have keypoints, or none."""
    having = np.array(has)
    objects = ~table.crowd & (table.image >= 0)
    images = np.unique(table.image[objects & having])
    absent = objects & ~having & np.isin(table.image, images)
    findings.every("keypoints_absent", table.positions[absent], lambda one: "no keypoints")


def _check_places(table: AnnotationTable, rows: np.ndarray, count: int, findings: Findings) -> None:
    """Check r annotations of `count` keypoints each."""
    values = np.array([table.rows[row]["keypoints"] for row in rows], float)
    values = values.reshape(len(rows), count, 3)  # (r, 3K) -> (r, K, 3)
    places, flags = values[..., :2], values[..., 2]
    boxes, sizes = table.boxes[rows][:, None], table.sizes[rows][:, None]  # (r, 1, 4), (r, 1, 2)
    with np.errstate(invalid="ignore"):
        labelled = flags > 0
        finite = np.isfinite(places).all(2)
        origin = (places == 0).all(2)
        outside = ((places < 0) | (places > sizes)).any(2)
        start, end = boxes[..., :2], boxes[..., :2] + boxes[..., 2:]
        slack = np.maximum(boxes[..., 2:] / 2, 2)
        framed = (boxes[..., 2:] > 0).all(2)  # (r, 1)
        off = framed & ((places < start - slack) | (places > end + slack)).any(2)
        seen = labelled & finite & ~origin
    for kind, where in (
        ("keypoint_not_finite", labelled & ~finite),
        ("keypoint_flag", ~np.isin(flags, (0, 1, 2))),
        ("keypoint_at_origin", labelled & origin),
        ("keypoint_outside", seen & outside),
        ("keypoint_off_box", seen & ~outside & off),
        ("keypoint_unlabelled_place", (flags == 0) & ~origin),
    ):
        for r in np.flatnonzero(where.any(1)):
            k = int(np.flatnonzero(where[r])[0])
            x, y, v = values[r, k]
            said = f"keypoint {k} is ({x:g}, {y:g}, v {v:g}); {int(where[r].sum())} such"
            findings.annotation(kind, int(table.positions[rows[r]]), said)
    _check_counts(table, rows, labelled.sum(1), findings)


def _check_counts(
    table: AnnotationTable, rows: np.ndarray, labelled: np.ndarray, findings: Findings
) -> None:
    for row, count in zip(rows, labelled.tolist(), strict=True):
        stated = table.rows[row].get("num_keypoints", math.nan)
        if stated != count:
            said = f"num_keypoints is {stated!r}, {count} are labelled"
            findings.annotation("num_keypoints_wrong", int(table.positions[row]), said)
