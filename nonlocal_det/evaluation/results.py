"""Read annotation and results files, and name the entry that cannot be evaluated."""

import json
import logging
import math
import os
from pathlib import Path
from typing import Any

from nonlocal_det.data import find_keypoint_schema, read_coco
from nonlocal_det.data.check import check_dataset

from .keypoint_errors import KeypointSpec
from .summary import TASKS, Result

logger = logging.getLogger("nonlocal_det")

CATEGORIES = "coco_categories.json"
"""Beside the results of `COCOEvaluator`: whose ids they have, ``[{"id": 1, "name": "person"}]``."""


def read_truth(path: str | os.PathLike[str], task: str) -> dict[str, Any]:
    """Read a COCO annotation file; its content must not be changed (see `read_coco`).

    Args:
        path: as ``coco/annotations/instances_val2017.json``.
        task: bbox, segm or keypoints; annotations must have what it needs.

    Raises:
        FileNotFoundError: `path` is no file.
        ValueError: it is not in COCO's format, lacks what the task needs, or has what would stop an
            evaluation of it.
    """
    content = read_coco(path)
    used = {"bbox": (), "segm": ("masks",), "keypoints": ("keypoints",)}[task]
    checked = check_dataset(Path(path).expanduser(), images="none", training=False)
    for finding in checked.findings.stopping(frozenset({"evaluation", *used})):
        raise ValueError(
            f"{path} is bad ({finding.kind} {finding.count}), as {finding.examples[0]}; repair it, "
            f"or give the copy of `python -m nonlocal_det check {path} --clean COPY`"
        )
    if task == "segm" and not any(row.get("segmentation") for row in content["annotations"]):
        raise ValueError(f"{path}: no annotation has a segmentation; segm AP needs it")
    return content


def read_results(
    path: str | os.PathLike[str], truth: dict[str, Any], task: str, *, may_be_empty: bool = False
) -> list[Result]:
    """Read a results file in COCO's format and check every entry.

    Args:
        path: as the evaluator's ``coco_instances_results.json``.
        truth: the COCO json that it belongs to.
        task: bbox, segm or keypoints; entries must have what it needs.
        may_be_empty: accept an empty list, of a model that detects nothing.

    Raises:
        FileNotFoundError: `path` is no file.
        ValueError: it is not a list of results, a category that `CATEGORIES` beside it names is
            not in `truth`, or as `check_results`.
    """
    path = Path(path).expanduser()
    hint = "give a results file, as inference/coco_instances_results.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {hint}")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not json ({error}); {hint}") from error
    _fit_categories(results, truth, path)
    if results != [] or not may_be_empty:
        check_results(results, truth, task, str(path))
    return results


def _fit_categories(results: Any, truth: dict[str, Any], path: Path) -> None:
    """Give results the ids that annotations of other data have for the same category names."""
    beside = path.with_name(CATEGORIES)
    if not isinstance(results, list) or not beside.is_file():
        return
    own = {one["id"]: one["name"] for one in json.loads(beside.read_text(encoding="utf-8"))}
    names = {one["id"]: one["name"] for one in truth["categories"]}
    ids = {name: id_ for id_, name in names.items()}
    entries = [one for one in results if isinstance(one, dict) and one.get("category_id") in own]
    moved = sorted({i for one in entries if names.get(i := one["category_id"]) != own[i]})
    if absent := [own[i] for i in moved if own[i] not in ids]:
        raise ValueError(
            f"{path} has detections of {', '.join(map(repr, absent[:5]))}, which the annotations "
            "do not name; give the annotation file that the results belong to"
        )
    if moved:
        changes = ", ".join(f"{own[i]!r} {i} to {ids[own[i]]}" for i in moved[:5])
        logger.warning(f"{path}: category ids changed to those of the annotations: {changes}")
        for one in entries:
            one["category_id"] = ids.get(own[one["category_id"]], one["category_id"])


def read_keypoint_spec(truth: dict[str, Any], path: str | os.PathLike[str]) -> KeypointSpec:
    """Take the mirrored keypoints and OKS sigmas from a COCO json.

    Args:
        truth: the json.
        path: of the json, for messages.

    Raises:
        ValueError: no keypoint is labelled, or its category does not describe them.
    """
    schema = find_keypoint_schema(truth, Path(path))
    if schema is None:
        raise ValueError(f"{path}: no keypoint is labelled; use --task bbox, or another file")
    return KeypointSpec.of(schema.names, schema.flip_map, schema.oks_sigmas)


def check_results(results: Any, truth: dict[str, Any], task: str, where: str = "results") -> None:
    """Refuse what would be evaluated wrongly or fail obscurely.

    Args:
        results: detections.
        truth: a COCO json.
        task: bbox, segm or keypoints.
        where: named in messages.

    Raises:
        ValueError: an unknown task, no results, or the first entry with an unknown image or
            category id, a missing field, or a number that is not finite; names index, field and
            value.
    """
    if task not in TASKS:
        raise ValueError(f"task={task!r}; expected one of {', '.join(TASKS)}")
    if not isinstance(results, list) or not results:
        raise ValueError(f"{where}: expected a list of at least one detection in COCO's format")
    sizes = {one["id"]: [one.get("height"), one.get("width")] for one in truth["images"]}
    categories = {one["id"] for one in truth["categories"]}
    numbers = 3 * _num_keypoints(truth)
    for index, one in enumerate(results):
        entry = f"{where}: entry {index}"
        if not isinstance(one, dict):
            raise ValueError(f"{entry} is {one!r}; expected an object with image_id and score")
        _check_id(one, "image_id", sizes, "images", entry)
        _check_id(one, "category_id", categories, "categories", entry)
        _check_numbers([one.get("score")], 1, "score", entry)
        if task == "bbox" or "bbox" in one:
            _check_numbers(one.get("bbox"), 4, "bbox", entry)
        if task == "keypoints":
            _check_numbers(one.get("keypoints"), numbers, "keypoints", entry)
        elif task == "segm":
            _check_mask(one.get("segmentation"), sizes[one["image_id"]], entry)


def _check_id(one: Result, key: str, known: Any, section: str, entry: str) -> None:
    value = one.get(key)
    if not isinstance(value, int) or value not in known:
        raise ValueError(
            f"{entry} has {key}={value!r}, which is not the id of one of the {len(known)} "
            f"{section} of the annotation file; is it the results' own?"
        )


def _check_numbers(value: Any, count: int, key: str, entry: str) -> None:
    is_list = isinstance(value, list) and len(value) == count
    if not is_list or not all(isinstance(v, int | float) and math.isfinite(v) for v in value):
        shown = value[0] if key == "score" else value
        raise ValueError(
            f"{entry} has {key}={shown!r}; expected {count} finite number{'s' * (count > 1)}. "
            "A model whose training diverged predicts nan: evaluate an earlier checkpoint"
        )


def _check_mask(value: Any, size: list[Any], entry: str) -> None:
    if not isinstance(value, dict) or not isinstance(value.get("counts"), str):
        raise ValueError(
            f"{entry} has segmentation={str(value)[:60]}; expected a compressed RLE, "
            '{"size": [height, width], "counts": text}'
        )
    if list(value.get("size", ())) != size:
        raise ValueError(
            f"{entry} has a segmentation of size={value.get('size')}, but its image's height and "
            f"width are {size}; predict masks in the size of the original image"
        )


def _num_keypoints(truth: dict[str, Any]) -> int:
    """The number of keypoints of the first object that has any, else of COCO's people."""
    for one in truth["annotations"]:
        if one.get("keypoints"):
            return len(one["keypoints"]) // 3
    return 17
