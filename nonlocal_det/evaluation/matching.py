"""What the error breakdowns share: an image's objects, and COCO's matching with them."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .summary import Result


@dataclass(frozen=True)
class Mistake:
    """One error.

    Attributes:
        kind: as "localisation" or "missed".
        result: the detection's index in the list of results; None: an object without detection.
        truth: the id of the annotation that would be found, or found better, without the mistake;
            None: there is none.
        keypoint: which one, where the mistake is about one; else None.
        similarity: how near that keypoint is to the place where it is, from 0 to 1.
    """

    kind: str
    result: int | None = None
    truth: int | None = None
    keypoint: int | None = None
    similarity: float = 0.0


@dataclass(frozen=True)
class Scene:
    """One image's detections, best score first, and its objects.

    Attributes:
        indices: of the detections in the list of results, (D,).
        detections: D results.
        truths: G annotations.
        ignored: (G,), crowds and what COCO does not count.
        same_class: (D, G), whether a detection has an object's category.
    """

    indices: list[int]
    detections: list[Result]
    truths: list[dict[str, Any]]
    ignored: np.ndarray
    same_class: np.ndarray


def trim(results: list[Result], max_dets: int) -> list[Result]:
    """The detections that COCO counts: of each image and category the best.

    Args:
        results: detections; of equal scores, earlier ones are better.
        max_dets: how many.
    """
    counts: dict[tuple[int, int], int] = defaultdict(int)
    kept = []
    for index in sorted(range(len(results)), key=lambda index: -results[index]["score"]):
        place = results[index]["image_id"], results[index]["category_id"]
        counts[place] += 1
        if counts[place] <= max_dets:
            kept.append(index)
    return [results[index] for index in sorted(kept)]


def scenes(
    truth: dict[str, Any], results: list[Result], is_ignored: Callable[[dict[str, Any]], bool]
) -> Iterator[Scene]:
    """The images one after the other.

    Args:
        truth: a COCO json.
        results: detections.
        is_ignored: whether an object counts neither as found nor as missed.
    """
    found, there = defaultdict(list), defaultdict(list)
    for index, one in enumerate(results):
        found[one["image_id"]].append(index)
    for one in truth["annotations"]:
        there[one["image_id"]].append(one)
    for image in truth["images"]:
        indices = sorted(found[image["id"]], key=lambda index: -results[index]["score"])
        truths = there[image["id"]]
        classes = np.array([results[index]["category_id"] for index in indices])
        true_classes = np.array([one["category_id"] for one in truths])
        yield Scene(
            indices,
            [results[index] for index in indices],
            truths,
            np.array([is_ignored(one) for one in truths], dtype=bool),
            classes[:, None] == true_classes[None, :],
        )


def match(similarity: np.ndarray, scene: Scene, threshold: float) -> np.ndarray:
    """COCO's greedy matching within categories.

    The best-scored detection takes the most similar free object; objects that count come before
    ignored ones, and a crowd is never taken.

    Args:
        similarity: IoU or OKS, (D, G).
        scene: the image.
        threshold: the least similarity of a match.

    Returns:
        The index of each detection's object, -1 without one: (D,).
    """
    crowd = np.array([bool(one.get("iscrowd")) for one in scene.truths], dtype=bool)
    free = np.ones(len(scene.truths), dtype=bool)
    matches = np.full(len(scene.detections), -1)
    for row in range(len(matches) if len(scene.truths) else 0):
        for group in (~scene.ignored, scene.ignored):
            possible = np.where(group & free & scene.same_class[row], similarity[row], -1.0)
            # COCO takes the last of equals
            best = len(possible) - 1 - int(possible[::-1].argmax())
            if possible[best] >= min(threshold, 1 - 1e-10):
                matches[row] = best
                free[best] = crowd[best]
                break
    return matches
