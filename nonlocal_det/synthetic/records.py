"""COCO's json records of a drawn scene: categories, annotations and the content of both files."""

from typing import TYPE_CHECKING, Any

import numpy as np
from detectron2.data.datasets.builtin_meta import COCO_PERSON_KEYPOINT_NAMES

from .masks import mask_to_counts, mask_to_polygons

if TYPE_CHECKING:  # a scene is drawn, so its module needs OpenCV; these records do not
    from .scene import SceneObject

# Not contiguous, as in COCO, so that the mapping of ids is exercised.
CATEGORY_IDS = {"person": 1, "circle": 3, "square": 7, "triangle": 8, "star": 10}
# COCO's, counted from 1.
SKELETON = (
    *((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9)),
    *((8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)),
)


def annotation_record(item: "SceneObject", image_id: int, annotation_id: int) -> dict[str, Any]:
    """Describe one object of a scene as COCO does, in plain Python numbers."""
    rows, columns = np.flatnonzero(item.mask.any(1)), np.flatnonzero(item.mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    outline = mask_to_counts(item.mask) if item.is_crowd else mask_to_polygons(item.mask)
    record = {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": CATEGORY_IDS[item.name],
        "iscrowd": int(item.is_crowd),
        "area": int(item.mask.sum()),
        "bbox": [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
        "segmentation": outline,
    }
    if item.name == "person":
        shape = (len(COCO_PERSON_KEYPOINT_NAMES), 3)
        # COCO labels no keypoints in crowds.
        keypoints = np.zeros(shape, int) if item.keypoints is None else item.keypoints
        record["num_keypoints"] = int((keypoints[:, 2] > 0).sum())
        record["keypoints"] = [int(value) for value in keypoints.reshape(-1)]
    return record


def instances_content(
    images: list[dict[str, Any]], annotations: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the content of COCO's instances_*.json: all categories, no keypoints."""
    keys = ("num_keypoints", "keypoints")
    plain = [{k: v for k, v in record.items() if k not in keys} for record in annotations]
    return {**_header(images), "annotations": plain, "categories": _categories()}


def person_keypoints_content(
    images: list[dict[str, Any]], annotations: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the content of COCO's person_keypoints_*.json: the same images, only people."""
    person = {**_categories()[0], "keypoints": COCO_PERSON_KEYPOINT_NAMES, "skeleton": SKELETON}
    people = [record for record in annotations if "keypoints" in record]
    return {**_header(images), "annotations": people, "categories": [person]}


def _header(images: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "info": {"description": "mini COCO, drawn by nonlocal_det"},
        "licenses": [{"id": 1, "name": "Apache-2.0"}],
        "images": images,
    }


def _categories() -> list[dict[str, Any]]:
    return [
        {"id": number, "name": name, "supercategory": "person" if name == "person" else "shape"}
        for name, number in CATEGORY_IDS.items()
    ]
