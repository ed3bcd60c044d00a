"""What of a json counts in an evaluation: what training uses of it, as docs/bad_data.md says."""

import logging
import math
from collections import Counter
from typing import Any

from pycocotools import mask as mask_utils

from nonlocal_det.data import fill_keypoints
from nonlocal_det.data.check import SLACK, is_area_possible, is_polygon

logger = logging.getLogger("nonlocal_det")
Annotation = dict[str, Any]

_LEFT_OUT = {
    "box_zero": "boxes have no width or no height",
    "box_outside": "boxes lie outside of their images",
    "polygon_short": "polygons all have fewer than 3 points",
    "rle_blank": "masks have no pixel",
}
_REPAIRED = {
    "box_over_edge": "clips the boxes of {} annotations to their images, as training does",
    "keypoint_outside": "takes keypoints outside of their images in {} annotations as not "
    "labelled, as training does",
    "area_wrong": 'takes the objects\' own areas in {} annotations whose "area" cannot be true',
}


def usable_truth(truth: dict[str, Any], task: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a ground truth with what counts, and with all that COCO's evaluation needs.

    Objects that training leaves out are left out, what training corrects is corrected, absent
    fields are filled in; the log says how many. Applied again, it changes and says nothing.

    Args:
        truth: a COCO json without what stops an evaluation; not changed.
        task: bbox, segm or keypoints.
        results: detections; they say whether the model has masks, and the number of keypoints.
    """
    images = {image["id"]: image for image in truth["images"]}
    has_masks = task == "segm" or any("segmentation" in result for result in results[:1])
    repairs: Counter[str] = Counter()
    annotations = []
    for row in truth["annotations"]:
        image = images.get(row["image_id"])
        if image is None:
            continue
        if not row.get("iscrowd") and (reason := _unusable(row, image, has_masks)):
            repairs[reason] += 1
            continue
        row = {"iscrowd": 0, **row}
        if not row["iscrowd"]:
            _clip(row, image, repairs)
        _correct_area(row, image, repairs)
        annotations.append(row)
    if task == "keypoints" and results:
        _correct_keypoints(annotations, images, len(results[0]["keypoints"]) // 3, repairs)
    for kind, count in repairs.items():
        what = _REPAIRED.get(kind, f"leaves out {{}} annotations whose {_LEFT_OUT.get(kind)}")
        logger.warning("the evaluation " + what.format(count))
    return {**truth, "annotations": annotations}


def to_rle(segmentation: Any, height: int, width: int) -> dict[str, Any]:
    """Return a COCO segmentation, polygons or RLE, as one compressed RLE."""
    if isinstance(segmentation, list):
        polygons = [polygon for polygon in segmentation if is_polygon(polygon)]
        return mask_utils.merge(mask_utils.frPyObjects(polygons, height, width))
    if isinstance(segmentation["counts"], list):
        return mask_utils.frPyObjects(segmentation, height, width)
    rle: dict[str, Any] = segmentation
    return rle


def warn_of_limit(
    name: str, annotations: list[Annotation], key: str, limit: int, shared: tuple[str, ...]
) -> None:
    """Warn where more objects share an image than may be found there.

    Args:
        name: of the data.
        annotations: of a COCO json; crowds do not count.
        key: of the limit.
        limit: detections that count.
        shared: the fields of the annotations for which it holds.
    """
    objects = (row for row in annotations if not row.get("iscrowd"))
    counts = Counter(tuple(row[field] for field in shared) for row in objects)
    largest = max(counts.values(), default=0)
    if largest > limit:
        missed = sum(count - limit for count in counts.values() if count > limit)
        logger.warning(
            f"{name}: {largest} objects share {' and '.join(shared)}, but {key} is {limit}: at "
            f"least {missed} objects are missed; {largest} lets all be found"
        )


def _unusable(row: Annotation, image: dict[str, Any], has_masks: bool) -> str:
    """Return why training leaves an object out; "" if it does not."""
    x, y, width, height = row["bbox"]
    if min(width, height) <= 0:
        return "box_zero"
    right, bottom = _size(image)
    if x + width <= 0 or y + height <= 0 or x >= right or y >= bottom:
        return "box_outside"
    mask = row.get("segmentation")
    if isinstance(mask, list) and mask and not any(map(is_polygon, mask)):
        return "polygon_short"
    if has_masks and isinstance(mask, dict) and not mask_utils.area(to_rle(mask, *mask["size"])):
        return "rle_blank"
    return ""


def _clip(row: Annotation, image: dict[str, Any], repairs: Counter[str]) -> None:
    """Clip a box that reaches over an edge, but for rounding, and leave out short polygons."""
    x, y, width, height = row["bbox"]
    right, bottom = _size(image)
    x1, y1 = x + width, y + height
    if min(x, y) < -SLACK or x1 > right + SLACK or y1 > bottom + SLACK:
        x, y = max(x, 0), max(y, 0)
        row["bbox"] = [x, y, min(x1, right) - x, min(y1, bottom) - y]
        repairs["box_over_edge"] += 1
    if isinstance(mask := row.get("segmentation"), list):
        row["segmentation"] = [polygon for polygon in mask if is_polygon(polygon)]


def _correct_area(row: Annotation, image: dict[str, Any], repairs: Counter[str]) -> None:
    """Replace an area that cannot be true: COCO's evaluation sorts and scales objects by it."""
    if is_area_possible(row.get("area"), row["bbox"]):
        return
    if "area" in row:
        repairs["area_wrong"] += 1
    mask, box = row.get("segmentation"), row["bbox"]
    own = 0.0
    if mask and {"height", "width"} <= image.keys():
        own = float(mask_utils.area(to_rle(mask, image["height"], image["width"])))
    row["area"] = own if is_area_possible(own, box) else abs(box[2] * box[3])


def _correct_keypoints(
    annotations: list[Annotation], images: dict[Any, Any], count: int, repairs: Counter[str]
) -> None:
    """Take keypoints outside of the image as not labelled, and count those that are."""
    for row in annotations:
        image = images[row["image_id"]]
        points = list(row.get("keypoints") or ())
        outside = [
            k
            for k in range(0, len(points), 3)
            if points[k + 2] > 0 and _is_outside(points[k], points[k + 1], image)
        ]
        for k in outside:
            points[k : k + 3] = 0, 0, 0
        if outside:
            row["keypoints"] = points
            repairs["keypoint_outside"] += 1
    fill_keypoints(annotations, count)


def _is_outside(x: float, y: float, image: dict[str, Any]) -> bool:
    """Detectron2 takes coordinates for indices of pixels, whose centres are at a half."""
    width, height = _size(image)
    return not (0 <= x + 0.5 <= width and 0 <= y + 0.5 <= height)


def _size(image: dict[str, Any]) -> tuple[float, float]:
    return image.get("width", math.inf), image.get("height", math.inf)
