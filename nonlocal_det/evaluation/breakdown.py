"""COCO's AP for parts of a data set: by the size of objects, by how many share an image."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from faster_coco_eval import COCOeval_faster

from .summary import Result, evaluate_results, summary

Row = dict[str, float]
"""Numbers by name: counts, and APs in percent (nan where there is no such object)."""

CROWDEDNESS = ((1, 1), (2, 3), (4, 7), (8, None))
"""Bins of the number of objects in an image, both ends included; None: no upper end."""


def by_size(evaluation: COCOeval_faster) -> dict[str, Row]:
    """AP, AP50 and AR of objects of each of COCO's sizes; "all" comes first.

    An object's size is its area: small below 32^2 pixels, large above 96^2. For keypoints COCO has
    no small ones.

    Args:
        evaluation: of `evaluate_results`.

    Returns:
        Rows by size.
    """
    rows = {}
    for index, label in enumerate(evaluation.params.areaRngLbl):
        precision = evaluation.eval["precision"][:, :, :, index, -1]  # (IoU, recall, category)
        rows[label] = {
            "AP": _mean(precision),
            "AP50": _mean(precision[:1]),
            "AR": _mean(evaluation.eval["recall"][:, :, index, -1]),
        }
    return rows


def _mean(values: np.ndarray) -> float:
    """In percent, without COCO's -1, which stands for a category with no such object."""
    values = np.asarray(values)
    values = values[values > -1]
    return float(values.mean()) * 100 if values.size else float("nan")


def by_crowdedness(
    truth: dict[str, Any],
    results: list[Result],
    task: str,
    *,
    bins: Sequence[tuple[int, int | None]] = CROWDEDNESS,
    sigmas: Sequence[float] = (),
) -> dict[str, Row]:
    """COCO's evaluation of the images with so many objects, one bin after the other.

    Args:
        truth: a COCO json. Crowds are not counted; for keypoints, neither are objects without any.
        results: detections.
        task: bbox, segm or keypoints.
        bins: the lowest and the highest number of objects of each; None: no highest.
        sigmas: OKS sigmas; empty: COCO's.

    Returns:
        Rows by bin ("1", "2-3", "8+"): numbers of images and objects, AP, AP50, AP75.

    Raises:
        ValueError: a bin ends before it begins, or begins below 1.
    """
    counts = _objects_by_image(truth, task)
    rows = {}
    for low, high in bins:
        if low < 1 or (high is not None and high < low):
            raise ValueError(f"bin ({low}, {high}); expected 1 <= lowest <= highest, or None")
        name = f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"
        chosen = {k for k, n in counts.items() if low <= n and (high is None or n <= high)}
        row = {"images": float(len(chosen)), "objects": float(sum(counts[k] for k in chosen))}
        aps = dict.fromkeys(("AP", "AP50", "AP75"), float("nan"))
        if chosen:
            numbers = summary(
                evaluate_results(truth, results, task, sigmas=sigmas, image_ids=chosen)
            )
            aps = {key: numbers[key] for key in aps}
        rows[name] = {**row, **aps}
    return rows


def _objects_by_image(truth: dict[str, Any], task: str) -> Counter[int]:
    return Counter(
        one["image_id"]
        for one in truth["annotations"]
        if not one.get("iscrowd") and (task != "keypoints" or any(one.get("keypoints", ())[2::3]))
    )
