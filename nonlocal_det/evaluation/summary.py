"""COCO's summary numbers of a list of results; needs no model."""

import logging
import math
from collections.abc import Collection, Sequence
from typing import Any

from faster_coco_eval import COCO, COCOeval_faster
from pycocotools import mask as mask_utils

from nonlocal_det.data import fill_keypoints

Result = dict[str, Any]
"""One detection in COCO's result format."""
Annotation = dict[str, Any]

TASKS = ("bbox", "segm", "keypoints")
logger = logging.getLogger("nonlocal_det")


def evaluate_results(
    truth: dict[str, Any],
    results: list[Result],
    task: str,
    *,
    sigmas: Sequence[float] = (),
    image_ids: Collection[int] | None = None,
    max_dets: int = 0,
) -> COCOeval_faster:
    """Run COCO's evaluation on faster-coco-eval; `truth` and `results` are not changed.

    Args:
        truth: a COCO json; "iscrowd", "num_keypoints" and some "keypoints" may be missing, an
            "area" that cannot be true is replaced by the object's own, and an object whose box
            has no size does not count.
        results: detections, at least one. For masks their area is the mask's, not the box's.
        task: bbox, segm or keypoints.
        sigmas: OKS sigmas, one per keypoint, as a share of the object's scale; empty: COCO's.
        image_ids: evaluate these images only; None: all.
        max_dets: detections counted per image and category; 0: COCO's 100, or 20 for keypoints.

    Returns:
        The evaluation, summarized: ``stats`` and ``eval`` as pycocotools has them.

    Raises:
        ValueError: the number of keypoints and of sigmas differ.
    """
    chosen = None if image_ids is None else set(image_ids)
    if chosen is not None:
        results = [one for one in results if one["image_id"] in chosen]
    reference = COCO(_complete(truth, task, chosen, results))
    evaluation = COCOeval_faster(
        reference,
        # copies, because loadRes writes into its rows; with a box it takes the box's area
        reference.loadRes(
            [{k: v for k, v in one.items() if task != "segm" or k != "bbox"} for one in results]
        ),
        task,
        print_function=logger.debug,
        kpt_oks_sigmas=list(sigmas) or None,
    )
    # all of them: for keypoints the library leaves out what has no annotation
    evaluation.params.catIds = sorted(reference.getCatIds())
    if max_dets:
        fewer = [] if task == "keypoints" else [min(1, max_dets), min(10, max_dets)]
        evaluation.params.maxDets = [*fewer, max_dets]
    if task == "keypoints" and results:
        _check_keypoints(results, evaluation)
    evaluation.run()
    return evaluation


def _complete(
    truth: dict[str, Any], task: str, chosen: set[int] | None, results: list[Result]
) -> dict[str, Any]:
    """The ground truth with what COCO's evaluation needs and a user's own json may lack."""
    annotations = [
        {"iscrowd": 0, **one}
        for one in truth["annotations"]
        if chosen is None or one["image_id"] in chosen
    ]
    sizes = {one["id"]: one for one in truth["images"]}
    annotations = _with_true_areas(_with_size(annotations), sizes)
    images = [one for one in truth["images"] if chosen is None or one["id"] in chosen]
    complete = all(
        "keypoints" in one and one.get("num_keypoints") is not None for one in annotations
    )
    if task == "keypoints" and results and not complete:
        fill_keypoints(annotations, len(results[0]["keypoints"]) // 3)
    return {**truth, "images": images, "annotations": annotations}


def _with_size(annotations: list[Annotation]) -> list[Annotation]:
    """Leave out objects whose box has no size: Detectron2 does not train with them either."""
    good = [one for one in annotations if one["iscrowd"] or min(one["bbox"][2:]) > 0]
    if len(good) < len(annotations):
        logger.warning(
            f"the evaluation leaves out {len(annotations) - len(good)} annotations whose boxes "
            "have no width or no height, as training does"
        )
    return good


def _with_true_areas(
    annotations: list[Annotation], images: dict[Any, dict[str, Any]]
) -> list[Annotation]:
    """Replace areas that cannot be true, as COCO's evaluation sorts and scales objects by them.

    Those are: none, no finite number, 0 or less, above the box's by more than a tenth, or, as a
    share of the image would be, below a pixel for an object of pixels.
    """
    replaced = 0
    for index, one in enumerate(annotations):
        box = abs(one["bbox"][2] * one["bbox"][3])
        area = one.get("area")
        if isinstance(area, int | float) and 0 < area and min(1, box) <= area <= 1.1 * box + 1:
            continue
        replaced += "area" in one
        annotations[index] = {**one, "area": _area_of(one, images.get(one["image_id"], {})) or box}
    if replaced:
        logger.warning(
            f"the evaluation takes the objects' own areas in {replaced} annotations whose "
            '"area" cannot be true'
        )
    return annotations


def _area_of(annotation: Annotation, image: dict[str, Any]) -> float:
    """Compute the area of an annotation's mask in pixels; 0 where it has none."""
    segmentation = annotation.get("segmentation")
    if not segmentation or not {"height", "width"} <= image.keys():
        return 0.0
    mask = segmentation
    if not (isinstance(mask, dict) and isinstance(mask.get("counts"), str | bytes)):
        mask = mask_utils.frPyObjects(segmentation, image["height"], image["width"])
    return float(mask_utils.area(mask_utils.merge(mask) if isinstance(mask, list) else mask))


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
