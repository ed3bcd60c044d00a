"""COCO's summary numbers of a list of results; needs no model."""

import logging
import math
from collections.abc import Collection, Sequence
from typing import Any

from faster_coco_eval import COCO, COCOeval_faster

from .truth import usable_truth

Result = dict[str, Any]
"""One detection in COCO's result format."""

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
        truth: a COCO json, of which counts what `usable_truth` says.
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
    if image_ids is not None:
        chosen = set(image_ids)
        results = [result for result in results if result["image_id"] in chosen]
        images = [image for image in truth["images"] if image["id"] in chosen]
        truth = {**truth, "images": images}
    reference = COCO(usable_truth(truth, task, results))
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
