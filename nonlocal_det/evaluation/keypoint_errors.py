"""Why keypoint AP is lost: find the mistakes, and correct one kind of them.

Source: Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation",
ICCV 2017. Their program is Python 2 and knows COCO's person only: so written from the paper.
"""

from typing import Any

import numpy as np

from .keypoint_kinds import GOOD, NEAR, Pose, classify_keypoints
from .matching import Mistake, Scene, match, scenes
from .summary import Result, evaluate_results

KEYPOINT_KINDS = ("jitter", "inversion", "swap", "miss", "background", "missed")
LEAST_OKS = 0.1  # of a detection that belongs to a person


def find_keypoint_mistakes(
    truth: dict[str, Any], results: list[Result], pose: Pose
) -> list[Mistake]:
    """Match detections to people at OKS >= 0.1, then look at every labelled keypoint.

    A detection of nobody is "background"; a person without detection "missed". "good" keypoints
    are listed too.

    Args:
        truth: a COCO json.
        results: detections, no more than COCO counts (`trim`).
        pose: mirrored keypoints and sigmas.
    """
    evaluation = evaluate_results(truth, results, "keypoints", sigmas=pose.sigmas.tolist())
    completed = {**truth, "annotations": list(evaluation.cocoGt.anns.values())}
    mistakes: list[Mistake] = []
    for scene in scenes(completed, results, lambda one: bool(one["ignore"])):
        matches = match(_oks(scene, evaluation.ious), scene, LEAST_OKS)
        for index, own in zip(scene.indices, matches, strict=True):
            if own < 0:
                mistakes.append(Mistake("background", index))
        for row in np.flatnonzero(matches >= 0):
            if not scene.ignored[matches[row]]:
                mistakes += _mistakes_of(scene, int(row), int(matches[row]), pose)
        unfound = set(np.flatnonzero(~scene.ignored)) - set(matches)
        mistakes += [Mistake("missed", truth=scene.truths[at]["id"]) for at in sorted(unfound)]
    return mistakes


def _oks(scene: Scene, by_category: dict[tuple[int, int], Any]) -> np.ndarray:
    """COCO's OKS of each detection with each person of its category, 0 with others: (D, G)."""
    oks = np.zeros(scene.same_class.shape)
    for category in {one["category_id"] for one in scene.truths}:
        rows = [k for k, one in enumerate(scene.detections) if one["category_id"] == category]
        columns = [k for k, one in enumerate(scene.truths) if one["category_id"] == category]
        if rows:
            oks[np.ix_(rows, columns)] = by_category[scene.truths[0]["image_id"], category]
    return oks


def _mistakes_of(scene: Scene, row: int, own: int, pose: Pose) -> list[Mistake]:
    """The kinds of one detection's keypoints."""
    true = np.array([one["keypoints"] for one in scene.truths], dtype=float)
    true = true.reshape(len(scene.truths), -1, 3)  # (G, 3K) -> (G, K, 3)
    area = np.array([one["area"] for one in scene.truths], dtype=float)
    points = np.array(scene.detections[row]["keypoints"], dtype=float).reshape(-1, 3)[:, :2]
    kinds = classify_keypoints(points, true, area, own, pose)
    person = scene.truths[own]["id"]
    return [
        Mistake(kind, scene.indices[row], person, k, value)
        for k, (kind, value) in enumerate(kinds)
        if kind
    ]


def correct_keypoints(
    truth: dict[str, Any], results: list[Result], mistakes: list[Mistake], kind: str, pose: Pose
) -> tuple[dict[str, Any], list[Result]]:
    """The data as if one kind of mistake had not been made; the arguments stay as they are.

    As in the paper, a keypoint is moved to where its own place is as near as the mistake was to
    what it hit: jitter to a similarity of 0.85, a miss to 0.5, an inversion or a swap to the
    similarity it had to the wrong place. Background is removed, and so are missed people.

    Args:
        truth: a COCO json.
        results: detections.
        mistakes: of `find_keypoint_mistakes`, of the same data.
        kind: the kind to correct.
        pose: mirrored keypoints and sigmas.
    """
    chosen = [one for one in mistakes if one.kind == kind]
    people = {one["id"]: one for one in truth["annotations"]}
    if kind == "missed":
        for mistake in chosen:
            del people[mistake.truth]
        return {**truth, "annotations": list(people.values())}, results
    if kind == "background":
        false = {mistake.result for mistake in chosen}
        return truth, [one for index, one in enumerate(results) if index not in false]
    corrected = list(results)
    for mistake in chosen:
        index, k = mistake.result, mistake.keypoint
        assert index is not None
        assert k is not None
        person = people[mistake.truth]
        points = list(corrected[index]["keypoints"])
        near = {"jitter": GOOD, "miss": NEAR}.get(kind, mistake.similarity)
        area = person.get("area", person["bbox"][2] * person["bbox"][3])
        distance = np.sqrt(-2 * area * (2 * pose.sigmas[k]) ** 2 * np.log(near))
        x, y = person["keypoints"][3 * k : 3 * k + 2]
        points[3 * k : 3 * k + 2] = [float(x + distance), float(y)]
        corrected[index] = {**corrected[index], "keypoints": points}
    return truth, corrected
