"""COCO's summary numbers of a list of results; needs no model."""

import logging
import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as mask_util

from nonlocal_det.data import fill_keypoints

Result = dict[str, Any]
"""One detection in COCO's result format."""

TASKS = ("bbox", "segm", "keypoints")
SIZES = ("small", "medium", "large")
logger = logging.getLogger("nonlocal_det")


def evaluate_results(
    truth: dict[str, Any],
    results: list[Result],
    task: str,
    *,
    sigmas: Sequence[float] = (),
    image_ids: Collection[int] | None = None,
    max_dets: Sequence[int] = (),
) -> COCOeval_faster:
    """Run COCO's evaluation on faster-coco-eval; neither argument is changed.

    Args:
        truth: a COCO json; "area" and "iscrowd" may be missing, as may some "keypoints".
        results: detections, at least one. For masks their area is the mask's, not the box's.
        task: bbox, segm or keypoints.
        sigmas: OKS sigmas, one per keypoint, as a share of the object's scale; empty: COCO's.
        image_ids: evaluate these images only; None: all.
        max_dets: detections counted per image and category, ascending; empty: COCO's, 1, 10 and
            100, or 20 for keypoints.

    Returns:
        The evaluation, summarized: ``stats`` and ``eval`` as pycocotools has them.

    Raises:
        ValueError: the number of keypoints and of sigmas differ.
    """
    chosen = None if image_ids is None else set(image_ids)
    if chosen is not None:
        results = [one for one in results if one["image_id"] in chosen]
    reference = COCO(_complete(truth, task, chosen, results))
    evaluation = _built(reference, _load(results, reference, task), task, sigmas)
    if max_dets:
        evaluation.params.maxDets = list(max_dets)
    if task == "keypoints" and results:
        _check_keypoints(results, evaluation)
    evaluation.run()
    return evaluation


def _built(
    reference: COCO, detections: COCO, task: str, sigmas: Sequence[float]
) -> COCOeval_faster:
    evaluation = _Evaluation(
        reference,
        detections,
        task,
        print_function=logger.debug,
        kpt_oks_sigmas=list(sigmas) or None,
    )
    # all of them: for keypoints the library leaves out what has no annotation
    evaluation.params.catIds = sorted(reference.getCatIds())
    return evaluation


def _load(results: list[Result], reference: COCO, task: str) -> COCO:
    """What ``reference.loadRes`` gives, in a third of the time: no polygon a box, no RLE twice.

    Only copies are written to. The area decides between small, medium and large: the mask's for
    masks, the box's otherwise.
    """
    if task == "segm":
        loaded = _load_masks(results)
    else:
        boxes = (one["bbox"] if "bbox" in one else _box_of(one["keypoints"]) for one in results)
        loaded = [
            {**one, "bbox": box, "area": box[2] * box[3]}
            for one, box in zip(results, boxes, strict=True)
        ]
    for number, one in enumerate(loaded, start=1):
        one["id"] = number
    detections = COCO()
    detections.dataset = {**reference.dataset, "annotations": loaded}
    detections.createIndex()
    return detections


def _load_masks(results: list[Result]) -> list[Result]:
    masks = [one["segmentation"] for one in results]
    areas = mask_util.area(masks) if masks else []
    kept = ("image_id", "category_id", "score")
    return [
        {**{key: one[key] for key in kept}, "rle": mask, "area": float(area)}
        for one, mask, area in zip(results, masks, areas, strict=True)
    ]


def _box_of(keypoints: Sequence[float]) -> list[float]:
    """The box that COCO gives to keypoints without one: x, y, width, height."""
    xs, ys = keypoints[0::3], keypoints[1::3]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


def _complete(
    truth: dict[str, Any], task: str, chosen: set[int] | None, results: list[Result]
) -> dict[str, Any]:
    """The ground truth with what COCO's evaluation needs and a user's own json may lack."""
    annotations = [
        {"iscrowd": 0, "area": one["bbox"][2] * one["bbox"][3], **one}
        for one in truth["annotations"]
        if chosen is None or one["image_id"] in chosen
    ]
    images = [one for one in truth["images"] if chosen is None or one["id"] in chosen]
    if task == "keypoints" and results and not all("keypoints" in one for one in annotations):
        fill_keypoints(annotations, len(results[0]["keypoints"]) // 3)
    return {**truth, "images": images, "annotations": annotations}


def _check_keypoints(results: list[Result], evaluation: COCOeval_faster) -> None:
    predicted = len(results[0]["keypoints"]) // 3
    sigmas = len(evaluation.params.kpt_oks_sigmas)
    if predicted != sigmas:
        raise ValueError(
            f"the model predicts {predicted} keypoints and there are {sigmas} OKS sigmas; give "
            f"TEST.KEYPOINT_OKS_SIGMAS (--oks-sigmas) {predicted} numbers"
        )


def summary(evaluation: COCOeval_faster) -> dict[str, float]:
    """All of COCO's summary numbers by name, in percent; nan where there is no such object.

    Args:
        evaluation: of `evaluate_results`.

    Returns:
        For boxes and masks AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100 (or as many detections
        as count), ARs, ARm, ARl; for keypoints AP, AP50, AP75, APm, APl, AR, AR50, AR75, ARm, ARl.
    """
    if evaluation.params.iouType == "keypoints":
        names = ["AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl"]
    else:
        names = ["AP", "AP50", "AP75", "APs", "APm", "APl"]
        names += [f"AR{count}" for count in evaluation.params.maxDets] + ["ARs", "ARm", "ARl"]
    values = dict(zip(names, evaluation.stats, strict=True))
    return {name: _percent(value) for name, value in values.items()}


def summary_table(evaluation: COCOeval_faster) -> str:
    """`summary` as text: the names over the numbers; "-" where there is no such object."""
    numbers = summary(evaluation)
    values = ("-" if math.isnan(value) else f"{value:.2f}" for value in numbers.values())
    head = " | ".join(f"{name:>6}" for name in numbers)
    return head + "\n" + " | ".join(f"{value:>6}" for value in values)


def _percent(value: float) -> float:
    return float(value) * 100 if value >= 0 else float("nan")


class _Evaluation(COCOeval_faster):
    """faster-coco-eval with its OKS in a third of the time, bit for bit the same.

    The library sums each pair of a detection and an object by itself, to keep pycocotools' order of
    summation; numpy keeps the same order when it sums the rows of a contiguous array at once.
    """

    def computeOks(self, imgId: int, catId: int) -> np.ndarray | list[float]:  # noqa: N802, N803
        """OKS of an image's detections, best score first, with its objects: (D, G).

        Source: COCO's keypoint evaluation. An object with no labelled keypoint, which is ignored,
        is near to what lies within twice its box.
        """
        truths = self.gt_dataset.get(imgId, catId)
        detections = self.dt_dataset.get(imgId, catId)
        order = np.argsort([-one["score"] for one in detections], kind="mergesort")
        detections = [detections[index] for index in order[: self.params.maxDets[-1]]]
        if not truths or not detections:
            return []
        points = np.array([one["keypoints"] for one in detections])
        x, y = points[:, 0::3], points[:, 1::3]  # (D, K)
        variances = (np.asarray(self.params.kpt_oks_sigmas) * 2) ** 2
        columns = []
        for truth in truths:
            squared, counted = _squared_distance(x, y, truth)
            error = squared / variances / (truth["area"] + np.spacing(1)) / 2
            similarity = np.ascontiguousarray(np.exp(-error[:, counted]))
            columns.append(similarity.sum(axis=1) / similarity.shape[1])
        return np.stack(columns, axis=1)


def _squared_distance(
    x: np.ndarray, y: np.ndarray, truth: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances in pixels (D, K), and which keypoints count (K,)."""
    true = np.array(truth["keypoints"])
    labelled = true[2::3] > 0
    if labelled.any():
        return (x - true[0::3]) ** 2 + (y - true[1::3]) ** 2, labelled
    left, top, width, height = truth["bbox"]
    dx = np.maximum(left - width - x, 0) + np.maximum(x - (left + 2 * width), 0)
    dy = np.maximum(top - height - y, 0) + np.maximum(y - (top + 2 * height), 0)
    return dx**2 + dy**2, ~labelled
