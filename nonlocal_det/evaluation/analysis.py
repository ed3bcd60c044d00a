"""The breakdown of one results file as text or json, or of two side by side."""

import json
import math
import os
from pathlib import Path
from typing import Any

from .breakdown import MAX_DETS, Row, by_crowdedness, by_size, error_table
from .keypoint_errors import KeypointSpec
from .results import read_keypoint_spec, read_results, read_truth
from .summary import Result, evaluate_results, summary
from .truth import usable_truth, warn_of_limit

Analysis = dict[str, dict[str, Row]]
"""Section -> row -> column -> number; APs in percent, nan where there is no such object."""


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
