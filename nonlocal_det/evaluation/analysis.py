"""What an AP is made of: sizes of objects, how many share an image, kinds of mistakes."""

import json
import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval import COCOeval_faster

from .box_errors import BOX_KINDS, correct_boxes, find_box_mistakes
from .keypoint_errors import (
    KEYPOINT_KINDS,
    KeypointSpec,
    correct_keypoints,
    find_keypoint_mistakes,
)
from .matching import trim
from .results import read_keypoint_spec, read_results, read_truth
from .summary import Result, evaluate_results, summary
from .truth import usable_truth, warn_of_limit

Row = dict[str, float]
"""Numbers by name: counts, and APs in percent (nan where there is no such object)."""
Analysis = dict[str, dict[str, Row]]
"""Section -> row -> column -> number; APs in percent, nan where there is no such object."""

CROWDEDNESS = ((1, 1), (2, 3), (4, 7), (8, None))
"""Bins of the number of objects in an image, both ends included; None: no upper end."""
MAX_DETS = {"bbox": 100, "segm": 100, "keypoints": 20}  # COCO's, per image and category


def by_size(evaluation: COCOeval_faster) -> dict[str, Row]:
    """AP, AP50 and AR of objects of each of COCO's sizes; "all" comes first.

    An object's size is its area: small below 32^2 pixels, large above 96^2. For keypoints COCO has
    no small ones.

    Args:
        evaluation: of `evaluate_results`.
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
    values = values[values > -1]
    return float(values.mean()) * 100 if values.size else float("nan")


def by_crowdedness(
    truth: dict[str, Any],
    results: list[Result],
    task: str,
    *,
    bins: Sequence[tuple[int, int | None]] = CROWDEDNESS,
    sigmas: Sequence[float] = (),
    max_dets: int = 0,
) -> dict[str, Row]:
    """Evaluate the images of each bin of the number of objects in them.

    Args:
        truth: a COCO json. Crowds are not counted; for keypoints, neither are objects without any.
        results: detections.
        task: bbox, segm or keypoints.
        bins: the lowest and the highest number of objects of each; None: no highest.
        sigmas: OKS sigmas; empty: COCO's.
        max_dets: as of `evaluate_results`.

    Returns:
        Rows by bin ("1", "2-3", "8+"): numbers of images and objects, AP, AP50, AP75.

    Raises:
        ValueError: a bin ends before it begins, or begins below 1.
    """
    truth = usable_truth(truth, task, results)
    counts = Counter(one["image_id"] for one in truth["annotations"] if _counts(one, task))
    rows = {}
    for low, high in bins:
        if low < 1 or (high is not None and high < low):
            raise ValueError(f"bin ({low}, {high}); expected 1 <= lowest <= highest, or None")
        name = f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"
        chosen = {k for k, n in counts.items() if low <= n and (high is None or n <= high)}
        row = {"images": float(len(chosen)), "objects": float(sum(counts[k] for k in chosen))}
        aps = dict.fromkeys(("AP", "AP50", "AP75"), float("nan"))
        if chosen:
            evaluation = evaluate_results(
                truth, results, task, sigmas=sigmas, image_ids=chosen, max_dets=max_dets
            )
            numbers = summary(evaluation)
            aps = {key: numbers[key] for key in aps}
        rows[name] = {**row, **aps}
    return rows


def _counts(annotation: dict[str, Any], task: str) -> bool:
    """Whether an object counts: no crowd, and for keypoints with at least one that is labelled."""
    labelled = task != "keypoints" or (annotation.get("num_keypoints") or 0) > 0
    return labelled and not annotation["iscrowd"]


def error_table(
    truth: dict[str, Any],
    results: list[Result],
    task: str,
    spec: KeypointSpec | None = None,
    max_dets: int = 0,
) -> dict[str, Row]:
    """Count the mistakes by kind, correct one kind at a time and evaluate again.

    Args:
        truth: a COCO json.
        results: detections.
        task: bbox, segm or keypoints.
        spec: mirrored keypoints and OKS sigmas; needed for keypoints.
        max_dets: as of `evaluate_results`.

    Returns:
        By kind (of `find_box_mistakes`, `find_keypoint_mistakes`): "count"; "share" in percent of
        the detections, of the objects (missed), or of found people's labelled keypoints; "dAP" and
        "dAP50", the gain when only this kind is corrected.

    Raises:
        ValueError: `task` is keypoints and `spec` is None.

    Note:
        Mistakes are those at IoU 0.5: a duplicate there may be the only match at 0.75, so "dAP" can
        be negative. "dAP50" is TIDE's number.
    """
    truth, results = usable_truth(truth, task, results), trim(results, max_dets or MAX_DETS[task])
    if task != "keypoints":
        kinds, sigmas = BOX_KINDS, []
        mistakes = find_box_mistakes(truth, results, task)
    elif spec is None:
        raise ValueError("task='keypoints' needs spec: keypoint names, flip map and OKS sigmas")
    else:
        kinds, sigmas = KEYPOINT_KINDS, spec.sigmas.tolist()
        mistakes = find_keypoint_mistakes(truth, results, spec, max_dets)

    def corrected(kind: str) -> tuple[dict[str, Any], list[Result]]:
        if task == "keypoints" and spec is not None:
            return correct_keypoints(truth, results, mistakes, kind, spec)
        return correct_boxes(truth, results, mistakes, kind, task)

    def aps(truth: dict[str, Any], results: list[Result]) -> Row:
        return summary(evaluate_results(truth, results, task, sigmas=sigmas, max_dets=max_dets))

    base, table = aps(truth, results), {}
    objects = sum(_counts(one, task) for one in truth["annotations"])
    keypoints = sum(mistake.keypoint is not None for mistake in mistakes)
    for kind in kinds:
        count = sum(mistake.kind == kind for mistake in mistakes)
        new = aps(*corrected(kind)) if count else base
        of_results = len(results) if kind in (*BOX_KINDS, "background") else keypoints
        whole = objects if kind == "missed" else of_results
        gains = {f"d{key}": new[key] - base[key] for key in ("AP", "AP50")}
        table[kind] = {"count": float(count), "share": 100 * count / max(1, whole), **gains}
    return table


def analyze_results(
    truth: dict[str, Any],
    results: list[Result],
    task: str,
    spec: KeypointSpec | None = None,
    max_dets: int = 0,
) -> Analysis:
    """Break down a list of results: summary, sizes, crowdedness and errors.

    Args:
        truth: a COCO json.
        results: detections that `check_results` passes.
        task: bbox, segm or keypoints.
        spec: mirrored keypoints and OKS sigmas; for keypoints.
        max_dets: detections counted per image and category; 0: COCO's number.

    Returns:
        The sections "summary", "size", "objects in the image" and "errors".
    """
    truth = usable_truth(truth, task, results)
    sigmas = spec.sigmas.tolist() if spec else ()
    evaluation = evaluate_results(truth, results, task, sigmas=sigmas, max_dets=max_dets)
    return {
        "summary": {name: {"value": value} for name, value in summary(evaluation).items()},
        "size": by_size(evaluation),
        "objects in the image": by_crowdedness(
            truth, results, task, sigmas=sigmas, max_dets=max_dets
        ),
        "errors": error_table(truth, results, task, spec, max_dets),
    }


def format_analysis(analysis: Analysis) -> str:
    """One analysis as text, a table per section."""
    blocks = []
    for section, rows in analysis.items():
        columns = list(next(iter(rows.values())))
        head = f"{section:<22}" + "".join(f"{name:>9}" for name in columns)
        lines = [
            f"{name:<22}" + "".join(f"{_text(row[column], column):>9}" for column in columns)
            for name, row in rows.items()
        ]
        blocks.append("\n".join([head, *lines]))
    return "\n\n".join(blocks)


def format_comparison(this: Analysis, other: Analysis) -> str:
    """Two analyses of the same data as text: each number of both, and the first minus the other."""
    blocks = []
    for section, rows in this.items():
        lines = [f"{section:<32}{'this':>9}{'other':>9}{'difference':>12}"]
        for name, row in rows.items():
            for column, value in row.items():
                reference = other[section][name][column]
                label = name if column == "value" else f"{name}, {column}"
                numbers = f"{_text(value, column):>9}{_text(reference, column):>9}"
                lines.append(f"{label:<32}{numbers}{_text(value - reference, column, '+'):>12}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _text(value: float, column: str, sign: str = "") -> str:
    if math.isnan(value):
        return "-"
    return format(value, f"{sign}.0f" if column in ("count", "images", "objects") else f"{sign}.2f")


def analyze_files(
    annotations: str | os.PathLike[str],
    results: str | os.PathLike[str],
    task: str = "bbox",
    against: str | os.PathLike[str] | None = None,
    json_path: str | os.PathLike[str] | None = None,
    max_dets: int = 0,
) -> str:
    """Analyze one results file, or two of the same data.

    Args:
        annotations: a COCO annotation file. For keypoints its category has their names, and may
            have "flip_map" and "oks_sigmas".
        results: a results file.
        task: bbox, segm or keypoints.
        against: another one.
        json_path: where to write the numbers; nan is written as null.
        max_dets: as of `analyze_results`.

    Returns:
        The tables as text.

    Raises:
        FileNotFoundError: one of the files is not there.
        ValueError: one cannot be evaluated; names the entry.
    """
    truth = read_truth(annotations, task)
    if not truth["annotations"]:
        raise ValueError(f"{annotations} has no annotations to compare results with; give others")
    limit, shared = max_dets or MAX_DETS[task], ("image_id", "category_id")
    warn_of_limit(str(annotations), truth["annotations"], "--max-dets", limit, shared)
    spec = read_keypoint_spec(truth, annotations) if task == "keypoints" else None
    paths = {"this": results} | ({"other": against} if against else {})
    lists = {name: read_results(path, truth, task) for name, path in paths.items()}
    analyses = {
        name: analyze_results(truth, entries, task, spec, max_dets)
        for name, entries in lists.items()
    }
    if json_path:
        content: dict[str, Any] = {"task": task, "annotations": str(annotations)}
        content |= {name: {"results": str(paths[name]), **analyses[name]} for name in analyses}
        Path(json_path).write_text(json.dumps(_plain(content), indent=1) + "\n")
    if against:
        return format_comparison(analyses["this"], analyses["other"])
    return format_analysis(analyses["this"])


def _plain(value: Any) -> Any:
    """As json has it: no nan."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
