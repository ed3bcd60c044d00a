"""How right a model is about things that are so far from their evidence: the long-range measure."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .answers import Answer, answers_on_categories, answers_on_sides
from .matching import scenes
from .results import read_pose, read_results, read_truth

EDGES = (0.0, 0.25, 0.5, 0.75, 1.0, math.inf)
"""Of the bins, in receptive fields; see `accuracy_by_distance`."""

UNITS = ("receptive_fields", "pixels")


def accuracy_by_distance(
    annotations: Path,
    results: Path,
    edges: Sequence[float] = EDGES,
    unit: str = "receptive_fields",
) -> dict[str, Any]:
    """Count what is right in each range of distances from the evidence.

    An object is asked for its category: the best-scored detection of any category with IoU >= 0.5
    answers, so localisation does not decide. In the data with keypoints, each limb's joint is asked
    for its side: of the best-scored detection with IoU >= 0.5, the joint is right if it lies nearer
    to its own place than to that of its left-right twin, wrong (swapped) if farther, and missed if
    its similarity to the nearer of the two, exp(-d^2 / (2 area (2 sigma)^2)) with COCO's sigmas, is
    below 0.5: then it is at neither. Crowds are not asked.

    Args:
        annotations: of `make_long_range`; each with the distance to its evidence.
        results: of the same split, as the evaluator's ``coco_instances_results.json``; may be [].
        edges: of the bins, ascending; a distance belongs to [low, high). What is outside all of
            them is counted in "all" alone.
        unit: of the edges, ``"receptive_fields"`` of the backbone the data was made for, or
            ``"pixels"``. A position of that backbone sees half a field to either side.

    Returns:
        Plain numbers, as json has them: "level", "of" ("objects" or "limb joints"), "unit",
        "receptive_field" (pixels), "data_version", "object_size" (the median width and height of
        the boxes in pixels), "chance", "all" (one row) and "bins" (a row each: "low", "high", None
        without end). A row has "count", "detected" (right or wrong), "right", "wrong", "missed",
        "mean_distance" (in the unit), "accuracy" (right of the detected), "right_of_all"; the last
        three None where there is nothing.

    Raises:
        FileNotFoundError: one of the files is not there.
        ValueError: the annotations have no distances, an entry of the results cannot be evaluated,
            or the edges do not ascend.
    """
    _check_edges(edges, unit)
    truth = _asked(read_truth(annotations, "bbox"))
    recipe = _recipe(truth, annotations)
    is_pose = recipe["level"] == "pose"
    task = "keypoints" if is_pose else "bbox"
    found = read_results(results, truth, task, may_be_empty=True)
    pose = read_pose(truth, annotations) if is_pose else None
    answers = [
        answer
        for scene in scenes(truth, found, lambda one: False)
        for answer in (
            answers_on_categories(scene) if pose is None else answers_on_sides(scene, pose)
        )
    ]
    pixels = float(recipe["receptive_field"]) if unit == "receptive_fields" else 1.0
    return {
        "level": recipe["level"],
        "of": "limb joints" if is_pose else "objects",
        "unit": unit,
        "receptive_field": recipe["receptive_field"],
        "data_version": recipe["version"],
        "object_size": _median_size(truth),
        "chance": 0.5 if is_pose else 1 / len(truth["categories"]),
        "all": _row(answers, pixels, 0.0, math.inf),
        "bins": [_row(answers, pixels, low, high) for low, high in pairwise(edges)],
    }


def _asked(truth: dict[str, Any]) -> dict[str, Any]:
    """Without crowds, which are what the others are told by."""
    asked = [one for one in truth["annotations"] if not one.get("iscrowd")]
    return {**truth, "annotations": asked}


def _check_edges(edges: Sequence[float], unit: str) -> None:
    if unit not in UNITS:
        raise ValueError(f"unit={unit!r}; expected one of {', '.join(UNITS)}")
    if len(edges) < 2 or not all(low < high for low, high in pairwise(edges)):
        raise ValueError(f"edges={list(edges)}; expected at least two ascending numbers")


def _recipe(truth: dict[str, Any], path: Path) -> dict[str, Any]:
    """What the data was made from, once every annotation is known to have its distances."""
    cure = "give an annotation file that tools/make_long_range.py has drawn"
    recipe: dict[str, Any] = truth.get("info", {}).get("recipe", {})
    for key in ("level", "receptive_field", "version"):
        if key not in recipe:
            raise ValueError(f'{path}: no "{key}" in "info", "recipe"; {cure}')
    is_pose = recipe["level"] == "pose"
    field = "keypoint_evidence_distances" if is_pose else "evidence_distance"
    for index, one in enumerate(truth["annotations"]):
        value = one.get(field)
        numbers = value if isinstance(value, list) and is_pose else [value]
        if not all(isinstance(v, int | float) and math.isfinite(v) for v in numbers) or (
            is_pose and len(numbers) != len(one.get("keypoints", ())) // 3
        ):
            raise ValueError(f"{path}: annotation {index} has {field}={value!r}; {cure}")
    return recipe


def _row(answers: Sequence[Answer], pixels: float, low: float, high: float) -> dict[str, Any]:
    inside = [one for one in answers if low <= one.distance / pixels < high]
    right = sum(one.right is True for one in inside)
    wrong = sum(one.right is False for one in inside)
    count, detected = len(inside), right + wrong
    mean = sum(one.distance for one in inside) / pixels / count if count else None
    return {
        "low": low,
        "high": None if math.isinf(high) else high,
        "count": count,
        "detected": detected,
        "right": right,
        "wrong": wrong,
        "missed": count - detected,
        "mean_distance": mean,
        "accuracy": right / detected if detected else None,
        "right_of_all": right / count if count else None,
    }


def _median_size(truth: dict[str, Any]) -> list[float]:
    """Width and height."""
    boxes = np.array([one["bbox"] for one in truth["annotations"]], dtype=float).reshape(-1, 4)
    return [float(side) for side in np.median(boxes[:, 2:], axis=0)] if len(boxes) else [0.0, 0.0]
