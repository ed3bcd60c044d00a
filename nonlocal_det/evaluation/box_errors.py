"""Why box or mask AP is lost: the six errors of TIDE, and what correcting each would gain.

Source: Bolya, Foley, Hays, Hoffman, "TIDE: A General Toolbox for Identifying Object Detection
Errors", ECCV 2020. Its package is not maintained, and counts 100 detections per image where COCO
counts them per image and category: so written from the paper.
"""

from typing import Any

import numpy as np
from faster_coco_eval.core import mask as mask_util

from .matching import ImageDetections, Mistake, detections_by_image, match
from .summary import Result
from .truth import to_rle

BOX_KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")


def find_box_mistakes(
    truth: dict[str, Any],
    results: list[Result],
    task: str,
    *,
    foreground: float = 0.5,
    background: float = 0.1,
) -> list[Mistake]:
    """Name the kind of each false positive, and the objects that no other mistake explains.

    With IoU to the most overlapping object, the first that holds:

    - localisation: right category, background <= IoU < foreground;
    - classification: another category, IoU >= foreground;
    - duplicate: right category, IoU >= foreground, of an object that a better detection has taken;
    - background: IoU <= background with everything;
    - both: the rest, that is another category and IoU between the two;
    - missed: an object that was not found, and that no localisation or classification error is at.

    Args:
        truth: a COCO json.
        results: detections.
        task: bbox or segm.
        foreground: the IoU of a match.
        background: the IoU up to which there is nothing.

    Returns:
        The mistakes, images in the annotation file's order, best scores first.
    """
    sizes = {one["id"]: (one["height"], one["width"]) for one in truth["images"]}
    mistakes: list[Mistake] = []
    for image in detections_by_image(truth, results, lambda one: bool(one.get("iscrowd"))):
        overlap = _overlap(image, task, sizes)
        mistakes += _mistakes_of(image, overlap, foreground, background)
    return mistakes


def _overlap(image: ImageDetections, task: str, sizes: dict[int, tuple[int, int]]) -> np.ndarray:
    """IoU, with crowds the share of the detection inside: (D, G)."""
    if not image.detections or not image.truths:
        return np.zeros((len(image.detections), len(image.truths)))
    crowd = [int(one.get("iscrowd", 0)) for one in image.truths]
    if task == "bbox":
        boxes = [[float(v) for v in one["bbox"]] for one in image.detections]
        return np.asarray(mask_util.iou(boxes, [one["bbox"] for one in image.truths], crowd))
    height, width = sizes[image.truths[0]["image_id"]]
    true = [to_rle(one["segmentation"], height, width) for one in image.truths]
    return np.asarray(mask_util.iou([one["segmentation"] for one in image.detections], true, crowd))


def _mistakes_of(
    image: ImageDetections, overlap: np.ndarray, foreground: float, background: float
) -> list[Mistake]:
    matches = match(overlap, image, foreground)
    counted = np.flatnonzero(~image.ignored)
    unmatched = {int(at): image.truths[at]["id"] for at in counted if at not in matches}
    explained = set()
    mistakes = []
    for row, index in enumerate(image.indices):
        if matches[row] >= 0:
            continue
        same = np.where(image.same_class[row, counted], overlap[row, counted], 0)
        other = np.where(image.same_class[row, counted], 0, overlap[row, counted])
        kind, column = _kind(same, other, foreground, background)
        target = None if column is None else unmatched.get(int(counted[column]))
        explained.add(target)
        mistakes.append(Mistake(kind, index, target))
    missed = [number for number in unmatched.values() if number not in explained]
    return mistakes + [Mistake("missed", truth=number) for number in missed]


def _kind(
    same: np.ndarray, other: np.ndarray, foreground: float, background: float
) -> tuple[str, int | None]:
    """The kind of a false positive and the object that it would find if it were right.

    `same` and `other` are its IoUs with the G objects that count, 0 with those of another category
    or of its own.
    """
    if not len(same):
        return "background", None
    best_same, best_other = int(same.argmax()), int(other.argmax())
    if background <= same[best_same] < foreground:
        return "localisation", best_same
    if other[best_other] >= foreground:
        return "classification", best_other
    if same[best_same] >= foreground:
        return "duplicate", None
    if max(same[best_same], other[best_other]) <= background:
        return "background", None
    return "both", None


def correct_boxes(
    truth: dict[str, Any], results: list[Result], mistakes: list[Mistake], kind: str, task: str
) -> tuple[dict[str, Any], list[Result]]:
    """The data as if one kind of mistake had not been made; the arguments are not changed.

    A false localisation or classification becomes right, except where the object has been found
    already or a better detection of the same mistake is corrected: then it would be a duplicate and
    is removed. Duplicates, background and "both" are removed; missed objects are.
    """
    chosen = [one for one in mistakes if one.kind == kind]
    annotations = {one["id"]: one for one in truth["annotations"]}
    sizes = {one["id"]: (one["height"], one["width"]) for one in truth["images"]}
    if kind == "missed":
        for mistake in chosen:
            del annotations[mistake.truth]
        return {**truth, "annotations": list(annotations.values())}, results
    corrected: dict[int | None, Result] = {}
    for mistake in chosen:  # the best score first: an object's later ones are removed
        target = annotations.pop(mistake.truth, None)
        if target and mistake.result is not None:
            result = results[mistake.result]
            if kind == "classification":
                corrected[mistake.result] = {**result, "category_id": target["category_id"]}
            else:
                corrected[mistake.result] = _moved(result, target, task, sizes)
    wrong = {mistake.result for mistake in chosen}
    right = (corrected.get(k, None if k in wrong else one) for k, one in enumerate(results))
    return truth, [one for one in right if one is not None]


def _moved(
    result: Result, target: dict[str, Any], task: str, sizes: dict[int, tuple[int, int]]
) -> Result:
    """The detection with the object's box or mask."""
    if task == "bbox":
        return {**result, "bbox": target["bbox"]}
    return {**result, "segmentation": to_rle(target["segmentation"], *sizes[target["image_id"]])}
