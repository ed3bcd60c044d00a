"""What the error breakdowns share: an image's detections and objects, and COCO's matching."""

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
        keypoint: its index, where the mistake is about one keypoint; else None.
        similarity: of that keypoint to the true one that it is nearest to, from 0 to 1.
    """

    kind: str
    result: int | None = None
    truth: int | None = None
    keypoint: int | None = None
    similarity: float = 0.0


@dataclass(frozen=True)
class ImageDetections:
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
    """Keep the detections that COCO counts: the best ``max_dets`` of each image and category.

    Of equal scores, earlier ones are better.
    """
    counts: dict[tuple[int, int], int] = defaultdict(int)
    indices = []
    for index in sorted(range(len(results)), key=lambda index: -results[index]["score"]):
        group = results[index]["image_id"], results[index]["category_id"]
        counts[group] += 1
        if counts[group] <= max_dets:
            indices.append(index)
    return [results[index] for index in sorted(indices)]


def detections_by_image(
    truth: dict[str, Any], results: list[Result], is_ignored: Callable[[dict[str, Any]], bool]
) -> Iterator[ImageDetections]:
    """Yield each image's detections and objects, images in the annotation file's order.

    What `is_ignored` counts neither as found nor as missed.
    """
    indices_of, truths_of = defaultdict(list), defaultdict(list)
    for index, result in enumerate(results):
        indices_of[result["image_id"]].append(index)
    for annotation in truth["annotations"]:
        truths_of[annotation["image_id"]].append(annotation)
    for image in truth["images"]:
        indices = sorted(indices_of[image["id"]], key=lambda index: -results[index]["score"])
        truths = truths_of[image["id"]]
        classes = np.array([results[index]["category_id"] for index in indices])
        true_classes = np.array([annotation["category_id"] for annotation in truths])
        yield ImageDetections(
            indices,
            [results[index] for index in indices],
            truths,
            np.array([is_ignored(annotation) for annotation in truths], dtype=bool),
            classes[:, None] == true_classes[None, :],
        )


def match(similarity: np.ndarray, image: ImageDetections, threshold: float) -> np.ndarray:
    """Match greedily within categories, as COCO does.

    The best-scored detection takes the most similar free object; objects that count come before
    ignored ones, and a crowd may be taken again.

    Args:
        similarity: IoU or OKS, (D, G).
        image: its detections and objects.
        threshold: the least similarity of a match.

    Returns:
        The index of each detection's object, -1 without one: (D,).
    """
    crowd = np.array([bool(one.get("iscrowd")) for one in image.truths], dtype=bool)
    free = np.ones(len(image.truths), dtype=bool)
    matches = np.full(len(image.detections), -1)
    for row in range(len(matches) if len(image.truths) else 0):
        for group in (~image.ignored, image.ignored):
            possible = np.where(group & free & image.same_class[row], similarity[row], -1.0)
            # COCO takes the last of equals
            best = len(possible) - 1 - int(possible[::-1].argmax())
            if possible[best] >= min(threshold, 1 - 1e-10):
                matches[row] = best
                free[best] = crowd[best]
                break
    return matches
