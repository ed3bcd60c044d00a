"""The error table: how many mistakes of each kind, and the AP that correcting them would gain."""

from typing import Any

from .box_errors import BOX_KINDS, correct_boxes, find_box_mistakes
from .breakdown import Row
from .keypoint_errors import KEYPOINT_KINDS, correct_keypoints, find_keypoint_mistakes
from .keypoint_kinds import Pose
from .matching import Mistake, trim
from .summary import Result, evaluate_results, summary

MAX_DETS = {"bbox": 100, "segm": 100, "keypoints": 20}  # COCO's, per image and category


def error_table(
    truth: dict[str, Any], results: list[Result], task: str, pose: Pose | None = None
) -> dict[str, Row]:
    """Count the mistakes by kind, correct one kind at a time and evaluate again.

    Args:
        truth: a COCO json.
        results: detections.
        task: bbox, segm or keypoints.
        pose: mirrored keypoints and OKS sigmas; needed for keypoints.

    Returns:
        By kind (of `find_box_mistakes`, `find_keypoint_mistakes`): "count"; "share" in percent of
        the detections, of the objects (missed), or of found people's labelled keypoints; "dAP" and
        "dAP50", the gain when only this kind is corrected.

    Raises:
        ValueError: keypoints without `pose`.

    Note:
        Mistakes are those at IoU 0.5: a duplicate there may be the only match at 0.75, so "dAP" can
        be negative. "dAP50" is TIDE's number.
    """
    if task == "keypoints" and pose is None:
        raise ValueError("task='keypoints' needs pose: keypoint names, flip map and OKS sigmas")
    pose = pose if task == "keypoints" else None
    results = trim(results, MAX_DETS[task])
    if pose:
        mistakes = find_keypoint_mistakes(truth, results, pose)
    else:
        mistakes = find_box_mistakes(truth, results, task)
    base, table = _aps(truth, results, task, pose), {}
    for kind in KEYPOINT_KINDS if pose else BOX_KINDS:
        count = sum(mistake.kind == kind for mistake in mistakes)
        new = _aps_without(kind, truth, results, mistakes, task, pose) if count else base
        share = 100 * count / _total(kind, truth, results, mistakes, task)
        gains = {f"d{key}": new[key] - base[key] for key in ("AP", "AP50")}
        table[kind] = {"count": float(count), "share": share, **gains}
    return table


def _aps_without(
    kind: str,
    truth: dict[str, Any],
    results: list[Result],
    mistakes: list[Mistake],
    task: str,
    pose: Pose | None,
) -> Row:
    if pose:
        better = correct_keypoints(truth, results, mistakes, kind, pose)
    else:
        better = correct_boxes(truth, results, mistakes, kind, task)
    return _aps(*better, task, pose)


def _aps(truth: dict[str, Any], results: list[Result], task: str, pose: Pose | None) -> Row:
    sigmas = pose.sigmas.tolist() if pose else ()
    return summary(evaluate_results(truth, results, task, sigmas=sigmas))


def _total(
    kind: str, truth: dict[str, Any], results: list[Result], mistakes: list[Mistake], task: str
) -> int:
    """What a kind's share is of, at least 1."""
    if kind == "missed":
        objects = [one for one in truth["annotations"] if not one.get("iscrowd")]
        if task == "keypoints":
            objects = [one for one in objects if any(one.get("keypoints", ())[2::3])]
        return max(1, len(objects))
    keypoints = sum(mistake.keypoint is not None for mistake in mistakes)
    return max(1, len(results) if kind in (*BOX_KINDS, "background") else keypoints)
