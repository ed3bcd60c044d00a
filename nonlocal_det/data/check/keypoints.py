"""Check keypoints: their number, flags and coordinates, in bulk where their number is right."""

from collections.abc import Mapping

import numpy as np

from .findings import Findings
from .rows import Annotation, AnnotationColumns, Category


def check_keypoints(
    rows: list[Annotation],
    table: AnnotationColumns,
    categories: Mapping[int, Category],
    findings: Findings,
) -> None:
    """Check the keypoints of some annotations against the names of their categories."""
    expected = {
        number: len(category.keypoints)
        for number, category in categories.items()
        if isinstance(category.keypoints, list)
    }
    by_count: dict[int, list[int]] = {}
    for index in np.flatnonzero(table.has_keypoints).tolist():
        length = len(rows[index].keypoints or ())
        known = expected.get(rows[index].category_id)
        if length % 3 or (known and length != 3 * known):
            detail = f"{length} numbers; expected {f'3 x {known}' if known else 'threes'}"
            findings.annotation("keypoints_count", int(table.positions[index]), detail)
        else:
            by_count.setdefault(length // 3, []).append(index)
    for count, indices in by_count.items():
        _check_coordinates(rows, table, np.array(indices), count, findings)


def check_keypoints_absent(table: AnnotationColumns, findings: Findings) -> None:
    """Find objects without keypoints in an image where others have some."""
    objects = ~table.crowd & (table.image >= 0)
    images = np.unique(table.image[objects & table.has_keypoints])
    absent = objects & ~table.has_keypoints & np.isin(table.image, images)
    absent &= ~np.isin(table.positions, findings.wrong_annotations("keypoints_malformed"))
    findings.annotations("keypoints_absent", table.positions[absent], "no keypoints")


def _check_coordinates(
    rows: list[Annotation],
    table: AnnotationColumns,
    indices: np.ndarray,
    count: int,
    findings: Findings,
) -> None:
    """Check r annotations of `count` keypoints each."""
    values = np.array([rows[index].keypoints for index in indices], float)
    values = values.reshape(len(indices), count, 3)  # (r, 3K) -> (r, K, 3)
    points, flags = values[..., :2], values[..., 2]
    sizes = table.sizes[indices][:, None]  # (r, 1, 2)
    with np.errstate(invalid="ignore"):
        labelled = flags > 0
        finite = np.isfinite(points).all(2)
        origin = (points == 0).all(2)
        # Detectron2 takes coordinates for indices of pixels, whose centres are at a half
        outside = ((points + 0.5 < 0) | (points + 0.5 > sizes)).any(2)
    for kind, where in (
        ("keypoint_not_finite", labelled & ~finite),
        ("keypoint_flag", ~np.isin(flags, (0, 1, 2))),
        ("keypoint_at_origin", labelled & origin),
        ("keypoint_outside", labelled & finite & ~origin & outside),
    ):
        for r in np.flatnonzero(where.any(1)):
            k = int(np.flatnonzero(where[r])[0])
            x, y, v = values[r, k]
            detail = f"keypoint {k} is ({x:g}, {y:g}, v {v:g}); {int(where[r].sum())} such"
            findings.annotation(kind, int(table.positions[indices[r]]), detail)
    for index, number in zip(indices.tolist(), labelled.sum(1).tolist(), strict=True):
        stated = rows[index].num_keypoints
        if stated is not None and stated != number:
            detail = f"num_keypoints is {stated:g}, {number} are labelled"
            findings.annotation("num_keypoints_wrong", int(table.positions[index]), detail)
