"""COCO's json of a long-range split; each annotation with the distance to its evidence."""

from typing import TYPE_CHECKING, Any

import numpy as np
from detectron2.data.datasets.builtin_meta import COCO_PERSON_KEYPOINT_NAMES

from nonlocal_det.synthetic.masks import mask_to_counts, mask_to_polygons
from nonlocal_det.synthetic.records import SKELETON

from .recipe import VERSIONS, Recipe

if TYPE_CHECKING:  # a scene is drawn, so its module needs OpenCV; these records do not
    from .draft import Item

CATEGORIES = {
    "beacon": ("red", "green"),
    "pairs": ("red", "green"),
    "pose": ("person",),
    "local": ("red", "green"),
}
"""By level, in the order of their ids from 1."""


def annotation(
    item: "Item", recipe: Recipe, image_id: int, annotation_id: int, is_crowd: bool = False
) -> dict[str, Any]:
    """Describe one object as COCO does, in plain numbers; a crowd is neither asked for nor wrong.

    Beyond COCO: ``evidence_distance`` in pixels (of a person, the mean over the limbs' keypoints),
    ``evidence_receptive_fields`` in units of the backbone's theoretical receptive field, and of a
    person ``keypoint_evidence_distances`` in pixels.
    """
    rows, columns = np.flatnonzero(item.mask.any(1)), np.flatnonzero(item.mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    record: dict[str, Any] = {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": CATEGORIES[recipe.level].index(item.name) + 1,
        "iscrowd": int(is_crowd),
        "area": int(item.mask.sum()),
        "bbox": [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
        "segmentation": (mask_to_counts if is_crowd else mask_to_polygons)(item.mask),
        "evidence_distance": round(item.distance, 2),
        "evidence_receptive_fields": round(item.distance / recipe.receptive_field, 4),
    }
    if item.keypoints is not None and item.keypoint_distances is not None:
        record["num_keypoints"] = int((item.keypoints[:, 2] > 0).sum())
        record["keypoints"] = [int(value) for value in item.keypoints.reshape(-1)]
        record["keypoint_evidence_distances"] = [
            round(float(d), 2) for d in item.keypoint_distances
        ]
    return record


def content(
    recipe: Recipe, split: str, images: list[dict[str, Any]], annotations: list[dict[str, Any]]
) -> dict[str, Any]:
    """The content of a split's json; its ``info`` says the recipe and the version of the data."""
    return {
        "info": {
            "description": f"long-range {recipe.level} {split}, drawn by nonlocal_det",
            "data_version": VERSIONS[recipe.level],
            "split": split,
            "recipe": recipe.as_dict(),
        },
        "licenses": [{"id": 1, "name": "Apache-2.0"}],
        "images": images,
        "annotations": annotations,
        "categories": _categories(recipe.level),
    }


def _categories(level: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"id": number, "name": name, "supercategory": level}
        for number, name in enumerate(CATEGORIES[level], 1)
    ]
    if level == "pose":
        found[0].update(keypoints=COCO_PERSON_KEYPOINT_NAMES, skeleton=SKELETON)
    return found
