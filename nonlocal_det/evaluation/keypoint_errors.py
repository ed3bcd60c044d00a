"""Why keypoint AP is lost: what each predicted keypoint is, and what correcting a kind would gain.

Source: Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation",
ICCV 2017. Their program is Python 2 and supports COCO's person only: so written from the paper.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .matching import ImageDetections, Mistake, detections_by_image, match
from .summary import Result, evaluate_results

KEYPOINT_KINDS = ("jitter", "inversion", "swap", "miss", "background", "missed")
GOOD, NEAR = 0.85, 0.5  # similarity of a good keypoint, and of one that is near a true one at all
LEAST_OKS = 0.1  # of a detection that belongs to a person


@dataclass(frozen=True)
class KeypointSpec:
    """The mirrored keypoints and OKS sigmas of a data set.

    Attributes:
        mirror: the index of each keypoint's left-right counterpart, its own without one: (K,).
        sigmas: OKS sigmas, as a share of the object's scale: (K,).
    """

    mirror: np.ndarray
    sigmas: np.ndarray

    @classmethod
    def of(
        cls, names: Sequence[str], flip_map: Sequence[tuple[str, str]], sigmas: Sequence[float]
    ) -> "KeypointSpec":
        """Make it of a data set's metadata: K names, pairs of names, K sigmas.

        Raises:
            ValueError: the numbers of names and sigmas differ, or a pair has an unknown name.
        """
        unknown = {name for pair in flip_map for name in pair} - set(names)
        if len(names) != len(sigmas) or unknown:
            raise ValueError(
                f"{len(names)} keypoints, {len(sigmas)} OKS sigmas, and unknown names in the flip "
                f"map: {sorted(unknown)}; give a sigma for each keypoint and pairs of their names"
            )
        mirror = np.arange(len(names))
        for left, right in flip_map:
            a, b = names.index(left), names.index(right)
            mirror[[a, b]] = b, a
        return cls(mirror, np.asarray(sigmas, dtype=float))


def similarity(
    points: np.ndarray, true: np.ndarray, area: np.ndarray, spec: KeypointSpec
) -> np.ndarray:
    """The similarity of each keypoint to each object's: exp(-d^2 / (2 area (2 sigma)^2)).

    Args:
        points: predicted, in pixels, (K, 2).
        true: the objects' keypoints, x, y and visibility, (G, K, 3).
        area: of the objects in square pixels, (G,).
        spec: with K sigmas.

    Returns:
        From 0 to 1, and -1 where an object's keypoint is not labelled: (G, K).
    """
    squared = ((true[..., :2] - points) ** 2).sum(axis=-1)  # (G, K)
    scale = 2 * (area[:, None] + np.spacing(1)) * (2 * spec.sigmas) ** 2
    return np.where(true[..., 2] > 0, np.exp(-squared / scale), -1.0)


def classify_keypoints(
    points: np.ndarray, true: np.ndarray, area: np.ndarray, own: int, spec: KeypointSpec
) -> list[tuple[str, float]]:
    """Name the kind of each predicted keypoint of a detection that was matched to a person.

    *Source*: section 3.1.

    - good: similarity to its own keypoint >= 0.85;
    - jitter: from 0.5 to 0.85;
    - inversion: below 0.5, and >= 0.5 to the mirrored keypoint of the same person;
    - swap: below 0.5, and >= 0.5 to the same or the mirrored keypoint of another person;
    - miss: near none of these. Where it could be inversion or swap, the nearer one.

    Args:
        points: predicted, (K, 2).
        true: the keypoints of the image's people, (G, K, 3).
        area: theirs, (G,).
        own: the index of the person that the detection was matched to.
        spec: mirrored keypoints and sigmas.

    Returns:
        For each keypoint its kind, "" if not labelled, and its similarity to the keypoint that the
        kind is about: (K,).
    """
    same = similarity(points, true, area, spec)
    mirrored = similarity(points, true[:, spec.mirror], area, spec)
    right = same[own]
    inverted = np.where(spec.mirror == np.arange(len(points)), -1.0, mirrored[own])
    others = np.arange(len(true)) != own
    swapped = np.maximum(same, mirrored)[others].max(axis=0, initial=-1.0)
    kinds = []
    for k, value in enumerate(right):
        wrong = max(inverted[k], swapped[k])
        if value < 0:
            kinds.append(("", 0.0))
        elif value >= NEAR:
            kinds.append(("good" if value >= GOOD else "jitter", float(value)))
        elif wrong >= NEAR:
            kinds.append(("inversion" if inverted[k] == wrong else "swap", float(wrong)))
        else:
            kinds.append(("miss", float(value)))
    return kinds


def find_keypoint_mistakes(
    truth: dict[str, Any], results: list[Result], spec: KeypointSpec, max_dets: int = 0
) -> list[Mistake]:
    """Match detections to people at OKS >= 0.1, then classify every labelled keypoint.

    A detection of nobody is "background"; a person without detection "missed". "good" keypoints
    are listed too.

    Args:
        truth: a COCO json.
        results: detections, no more than count (`trim`).
        spec: mirrored keypoints and sigmas.
        max_dets: as of `evaluate_results`.
    """
    sigmas = spec.sigmas.tolist()
    evaluation = evaluate_results(truth, results, "keypoints", sigmas=sigmas, max_dets=max_dets)
    completed = {**truth, "annotations": list(evaluation.cocoGt.anns.values())}
    mistakes: list[Mistake] = []
    for image in detections_by_image(completed, results, lambda one: bool(one["ignore"])):
        matches = match(_oks(image, evaluation.ious), image, LEAST_OKS)
        for index, own in zip(image.indices, matches, strict=True):
            if own < 0:
                mistakes.append(Mistake("background", index))
        for row in np.flatnonzero(matches >= 0):
            if not image.ignored[matches[row]]:
                mistakes += _mistakes_of(image, int(row), int(matches[row]), spec)
        missed = set(np.flatnonzero(~image.ignored)) - set(matches)
        mistakes += [Mistake("missed", truth=image.truths[at]["id"]) for at in sorted(missed)]
    return mistakes


def _oks(image: ImageDetections, by_category: dict[tuple[int, int], Any]) -> np.ndarray:
    """COCO's OKS of each detection with each person of its category, 0 with others: (D, G)."""
    oks = np.zeros(image.same_class.shape)
    for category in {one["category_id"] for one in image.truths}:
        rows = [k for k, one in enumerate(image.detections) if one["category_id"] == category]
        columns = [k for k, one in enumerate(image.truths) if one["category_id"] == category]
        if rows:
            oks[np.ix_(rows, columns)] = by_category[image.truths[0]["image_id"], category]
    return oks


def _mistakes_of(image: ImageDetections, row: int, own: int, spec: KeypointSpec) -> list[Mistake]:
    """The kinds of one detection's keypoints."""
    true = np.array([one["keypoints"] for one in image.truths], dtype=float)
    true = true.reshape(len(image.truths), -1, 3)  # (G, 3K) -> (G, K, 3)
    area = np.array([one["area"] for one in image.truths], dtype=float)
    points = np.array(image.detections[row]["keypoints"], dtype=float).reshape(-1, 3)[:, :2]
    person = image.truths[own]["id"]
    return [
        Mistake(kind, image.indices[row], person, k, value)
        for k, (kind, value) in enumerate(classify_keypoints(points, true, area, own, spec))
        if kind
    ]


def correct_keypoints(
    truth: dict[str, Any],
    results: list[Result],
    mistakes: list[Mistake],
    kind: str,
    spec: KeypointSpec,
) -> tuple[dict[str, Any], list[Result]]:
    """The data as if one kind of mistake had not been made; the arguments are not changed.

    As in the paper, a keypoint is moved to the distance from its true position that the mistake
    had to what it hit: jitter to a similarity of 0.85, a miss to 0.5, an inversion or a swap to
    the similarity it had to the wrong keypoint. Background is removed, and so are missed people.
    """
    chosen = [mistake for mistake in mistakes if mistake.kind == kind]
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
        distance = np.sqrt(-2 * area * (2 * spec.sigmas[k]) ** 2 * np.log(near))
        x, y = person["keypoints"][3 * k : 3 * k + 2]
        points[3 * k : 3 * k + 2] = [float(x + distance), float(y)]
        corrected[index] = {**corrected[index], "keypoints": points}
    return truth, corrected
