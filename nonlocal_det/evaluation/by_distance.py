"""Accuracy as a function of the distance to the evidence: the measure of the drawn data.

In the long-range images that is pixels from an object to what tells it, in the flash clips frames
from one flash to the other.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog
from faster_coco_eval.core import mask as mask_util

from nonlocal_det.synthetic.long_range import LIMB_JOINTS, find_set

from .keypoint_errors import NEAR, KeypointSpec, similarity
from .matching import ImageDetections, detections_by_image
from .results import read_keypoint_spec, read_results, read_truth

EDGES = (0.0, 0.25, 0.5, 0.75, 1.0, math.inf)
"""Of the bins, in receptive fields; see `accuracy_by_distance`."""

UNITS = ("receptive_fields", "pixels")
MATCHED = 0.5
"""The IoU from which a detection is an object's."""


@dataclass(frozen=True)
class Outcome:
    """What was predicted for one object or one joint.

    Attributes:
        distance: pixels to the evidence.
        right: False where it was taken for another; None where it was not detected.
    """

    distance: float
    right: bool | None


def measure_by_distance(names: Sequence[str], folder: Path) -> dict[str, Any] | None:
    """Measure what an evaluation has written, by the distances of its drawn data.

    Args:
        names: of the data sets that were evaluated.
        folder: of the files of the results.

    Returns:
        As `accuracy_by_distance` or `accuracy_by_gap`; None where it is not one data set, or one
        whose metadata names no distances (``long_range``, ``flashes``).
    """
    metadata = MetadataCatalog.get(names[0]) if len(names) == 1 else None
    if metadata is not None and metadata.get("long_range", None):
        results, edges = folder / "coco_instances_results.json", find_set(metadata.long_range).edges
        return accuracy_by_distance(Path(metadata.json_file), results, edges)
    if metadata is not None and metadata.get("flashes", None):
        return accuracy_by_gap(DatasetCatalog.get(names[0]), folder / "video_predictions.json")
    return None


def accuracy_by_distance(
    annotations: Path,
    results: Path,
    edges: Sequence[float] = EDGES,
    unit: str = "receptive_fields",
) -> dict[str, Any]:
    """Count what is right in each range of distances from the evidence.

    An object's category is that of the best-scored detection of any category with IoU >= 0.5, so
    localisation does not decide. In the data with keypoints, the side of each limb's joint counts:
    of the best-scored detection with IoU >= 0.5, the joint is right if it is nearer to its own
    position than to that of its left-right counterpart, wrong (swapped) if farther, and missed if
    its similarity to the nearer of the two, exp(-d^2 / (2 area (2 sigma)^2)) with COCO's sigmas, is
    below 0.5. Crowds do not count.

    Args:
        annotations: of `make_long_range`; each with the distance to its evidence.
        results: of the same split, as the evaluator's ``coco_instances_results.json``; may be [].
        edges: of the bins, ascending; a distance belongs to [low, high). What is outside all of
            them is counted in "all" only.
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
    truth = read_truth(annotations, "bbox")
    # the crowds are the evidence
    objects = [one for one in truth["annotations"] if not one.get("iscrowd")]
    truth = {**truth, "annotations": objects}
    recipe = _recipe(truth, annotations)
    is_pose = recipe["level"] == "pose"
    task = "keypoints" if is_pose else "bbox"
    detections = read_results(results, truth, task, may_be_empty=True)
    spec = read_keypoint_spec(truth, annotations) if is_pose else None
    outcomes = [
        outcome
        for image in detections_by_image(truth, detections, lambda one: False)
        for outcome in (_category_outcomes(image) if spec is None else _side_outcomes(image, spec))
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
        "all": _row(outcomes, pixels, 0.0, math.inf),
        "bins": [_row(outcomes, pixels, low, high) for low, high in pairwise(edges)],
    }


def accuracy_by_gap(records: Sequence[dict[str, Any]], predictions: Path) -> dict[str, Any]:
    """Compute accuracy and log-loss for each gap of flash clips.

    Args:
        records: of the data set, with ``video_id``, ``label`` and ``gap``.
        predictions: the evaluator's ``video_predictions.json`` of all of them.

    Returns:
        Plain numbers: "of" ("clips"), "unit" ("frames"), "chance", "all" (one row) and "bins" (a
        row each gap: "low" and "high" are it). A row has "count", "mean_distance" (in frames),
        "accuracy" and "log_loss" (nats: the mean of -log p of the true class).

    Raises:
        FileNotFoundError: there are no such predictions.
        KeyError: a record has none.
    """
    entries = {entry["video_id"]: entry for entry in json.loads(predictions.read_text())}
    rows: dict[int, list[tuple[bool, float]]] = {}
    for record in records:
        entry, label = entries[record["video_id"]], record["label"]
        score = entry["log_scores"][entry["classes"].index(label)]
        outcome = (entry["classes"][0] == label, math.nan if score is None else -score)
        rows.setdefault(record["gap"], []).append(outcome)

    def row(gaps: Sequence[int]) -> dict[str, Any]:
        right, losses = zip(*(outcome for gap in gaps for outcome in rows[gap]), strict=True)
        known = [loss for loss in losses if not math.isnan(loss)]
        return {
            "low": gaps[0],
            "high": gaps[-1],
            "count": len(right),
            "mean_distance": sum(gap * len(rows[gap]) for gap in gaps) / len(right),
            "accuracy": sum(right) / len(right),
            "log_loss": sum(known) / len(known) if known else None,
        }

    return {
        "of": "clips",
        "unit": "frames",
        "chance": 1 / len({record["label"] for record in records}),
        "all": row(sorted(rows)),
        "bins": [row([gap]) for gap in sorted(rows)],
    }


def _best_detections(image: ImageDetections) -> Iterator[tuple[int, int | None]]:
    """Each object's index, and that of the best-scored detection on it."""
    boxes = [[float(v) for v in one["bbox"]] for one in image.detections]
    true = [one["bbox"] for one in image.truths]
    no_crowd = [0] * len(true)
    iou = np.zeros((0, len(true)))
    if boxes and true:
        iou = np.asarray(mask_util.iou(boxes, true, no_crowd))  # (D, G)
    for column in range(len(true)):
        rows = np.flatnonzero(iou[:, column] >= MATCHED)
        yield column, int(rows[0]) if len(rows) else None  # best score first


def _category_outcomes(image: ImageDetections) -> Iterator[Outcome]:
    """Whether the best-scored detection on each object has its category."""
    for column, row in _best_detections(image):
        right = None if row is None else bool(image.same_class[row, column])
        yield Outcome(image.truths[column]["evidence_distance"], right)


def _side_outcomes(image: ImageDetections, spec: KeypointSpec) -> Iterator[Outcome]:
    """Whether each limb's joint of the best-scored detection on a figure is on its own side."""
    for column, row in _best_detections(image):
        truth = image.truths[column]
        true = np.array(truth["keypoints"], dtype=float).reshape(1, -1, 3)
        right: list[bool | None] = [None] * true.shape[1]
        if row is not None:
            points = np.array(image.detections[row]["keypoints"], dtype=float).reshape(-1, 3)
            right = _is_on_own_side(points[:, :2], true, float(truth["area"]), spec)
        for joint in LIMB_JOINTS:
            if true[0, joint, 2] > 0:
                yield Outcome(truth["keypoint_evidence_distances"][joint], right[joint])


def _is_on_own_side(
    points: np.ndarray, true: np.ndarray, area: float, spec: KeypointSpec
) -> list[bool | None]:
    """Whether each point (K, 2) is on its own side of a figure (1, K, 3); None: near neither.

    A joint and its counterpart have the same sigma, so the nearer one is the more similar one.
    """
    areas = np.array([area])
    own = similarity(points, true, areas, spec)[0]
    other = similarity(points, true[:, spec.mirror], areas, spec)[0]
    return [None if max(a, b) < NEAR else bool(a >= b) for a, b in zip(own, other, strict=True)]


def _check_edges(edges: Sequence[float], unit: str) -> None:
    if unit not in UNITS:
        raise ValueError(f"unit={unit!r}; expected one of {', '.join(UNITS)}")
    if len(edges) < 2 or not all(low < high for low, high in pairwise(edges)):
        raise ValueError(f"edges={list(edges)}; expected at least two ascending numbers")


def _recipe(truth: dict[str, Any], path: Path) -> dict[str, Any]:
    """The recipe that the data was made from; checks that every annotation has its distances."""
    cure = "give an annotation file that make-long-range has drawn"
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


def _row(outcomes: Sequence[Outcome], pixels: float, low: float, high: float) -> dict[str, Any]:
    inside = [one for one in outcomes if low <= one.distance / pixels < high]
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
