"""Annotations as columns: what is whole enough to be measured, checked in bulk."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .findings import Findings
from .records import ImageTable, is_whole

NEEDED = ("id", "image_id", "category_id", "bbox")


class AnnotationTable:
    """The annotations whose entries are of the right type, column by column.

    Args:
        annotations: the json's "annotations".
        images: its images.
        categories: the ids of its categories.
        findings: gets what is wrong with the others.

    Attributes:
        rows: the annotations that the columns describe, n of them.
        positions: (n,) int64, in the json's "annotations".
        image: (n,) int64, position of the image; -1 where there is none.
        category: (n,) int64, ids.
        crowd: (n,) bool.
        boxes: (n, 4) float64, x, y, width, height.
        sizes: (n, 2) float64, width and height of the image; NaN where it is not known.
    """

    def __init__(
        self,
        annotations: list[Any],
        images: ImageTable,
        categories: set[int],
        findings: Findings,
    ) -> None:
        kept = [k for k, one in enumerate(annotations) if _is_whole_record(k, one, findings)]
        self.boxes, usable = boxes_of([annotations[k]["bbox"] for k in kept])
        self.positions = np.array(kept, np.int64)[usable]
        findings.every(
            "box_malformed",
            np.array(kept, np.int64)[~usable],
            lambda one: f"bbox is {one['bbox']!r}"[:200],
        )
        self.rows = [annotations[k] for k in self.positions]
        self.image = np.array([images.position.get(a["image_id"], -1) for a in self.rows], np.int64)
        self.category = np.array([a["category_id"] for a in self.rows], np.int64)
        self.crowd = np.array([a.get("iscrowd", 0) == 1 for a in self.rows], bool)
        padded = np.vstack([images.sizes, [[np.nan, np.nan]]])  # the last row is that of image -1
        self.sizes = padded[self.image]
        self._check_references(categories, findings)

    def _check_references(self, categories: set[int], findings: Findings) -> None:
        known = np.isin(self.category, list(categories))
        findings.every(
            "annotation_category_unknown",
            self.positions[~known],
            lambda one: f"category_id is {one['category_id']}",
        )
        findings.every(
            "annotation_image_unknown",
            self.positions[self.image < 0],
            lambda one: f"image_id is {one['image_id']!r}",
        )


def _is_whole_record(position: int, one: Any, findings: Findings) -> bool:
    if not isinstance(one, dict):
        findings.annotation("annotation_malformed", position, f"it is {one!r}"[:100])
        return False
    for key in NEEDED:
        if key not in one:
            findings.annotation("annotation_malformed", position, f"no {key}")
            return False
        if key != "bbox" and not _is_id(key, one[key]):
            findings.annotation("annotation_malformed", position, f"{key} is {one[key]!r}"[:100])
            return False
    return True


def _is_id(key: str, value: Any) -> bool:
    """An image may have a name as id, elsewhere; then no image is found for it, which is said."""
    return is_whole(value) or (key == "image_id" and isinstance(value, str))


def boxes_of(values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes as an array, as far as they are four numbers; fast where all are.

    Returns:
        (m, 4) float64, the boxes that are four numbers, and (n,) bool, which those are.
    """
    try:
        array = np.array(values)
    except (ValueError, OverflowError):  # of different lengths
        array = np.array(None)
    if array.shape == (len(values), 4) and array.dtype.kind in "if":
        return array.astype(float), np.ones(len(values), bool)
    usable = np.array([numbers(box) and len(box) == 4 for box in values], bool)
    whole = [box for box, good in zip(values, usable, strict=True) if good]
    return np.array(whole, float).reshape(-1, 4), usable


def numbers(value: Any) -> bool:
    """Whether a json value is a list of numbers; true and false, and huge integers, are not."""
    return isinstance(value, list) and all(isinstance(v, float) or is_whole(v) for v in value)
