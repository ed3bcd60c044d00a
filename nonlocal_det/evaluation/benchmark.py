"""Time and equality of this project's COCO evaluation against pycocotools'."""

import contextlib
import copy
import io
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from .drawn import draw_evaluation
from .summary import evaluate_results


@dataclass(frozen=True)
class Comparison:
    """Both evaluations of the same results.

    Attributes:
        seconds: ours, CPU time of each round: loading the results, evaluating and summarizing.
        their_seconds: pycocotools', in the same rounds.
        stats: our summary numbers, shares from 0 to 1 in pycocotools' order; -1: no such object.
        their_stats: pycocotools'.
    """

    seconds: list[float]
    their_seconds: list[float]
    stats: np.ndarray
    their_stats: np.ndarray

    @property
    def ratio(self) -> float:
        """How many times as fast ours is, by the medians."""
        return float(np.median(self.their_seconds) / np.median(self.seconds))

    @property
    def difference(self) -> float:
        """The largest difference between two summary numbers."""
        return float(np.abs(self.stats - self.their_stats).max())


def compare_with_pycocotools(
    truth: dict[str, Any], results: list[dict[str, Any]], task: str, rounds: int = 1
) -> Comparison:
    """Evaluate with both, in turn; the copies that pycocotools then changes are not timed.

    Args:
        truth: a COCO json.
        results: detections.
        task: bbox, segm or keypoints.
        rounds: how often.

    Raises:
        ValueError: less than one round.
    """
    if rounds < 1:
        raise ValueError(f"rounds={rounds}; expected at least 1")
    ours, theirs = [], []
    for _ in range(rounds):
        reference, copied = copy.deepcopy(truth), copy.deepcopy(results)
        start = time.process_time()
        stats = evaluate_results(truth, results, task).stats
        middle = time.process_time()
        their_stats = evaluate_with_pycocotools(reference, copied, task)
        ours.append(middle - start)
        theirs.append(time.process_time() - middle)
    return Comparison(ours, theirs, stats, their_stats)


def evaluate_with_pycocotools(
    truth: dict[str, Any], results: list[dict[str, Any]], task: str
) -> np.ndarray:
    """Pycocotools' summary numbers; it writes into both arguments."""
    if task == "segm":  # as Detectron2 does: the area is the mask's
        results = [{k: v for k, v in one.items() if k != "bbox"} for one in results]
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {"info": {}, **truth}
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(results), task)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def benchmark_evaluation(
    task: str = "bbox", num_images: int = 5000, detections_per_image: int = 100, rounds: int = 1
) -> str:
    """Draw data, evaluate it with both, and report times, ratio and difference.

    Args:
        task: bbox, segm or keypoints.
        num_images: number of images.
        detections_per_image: detections in every image.
        rounds: how often, in turn; the medians count.

    Raises:
        ValueError: a number below 1.
    """
    for name, value in (("images", num_images), ("detections", detections_per_image)):
        if value < 1:
            raise ValueError(f"{name}={value}; expected at least 1")
    truth, results = draw_evaluation(num_images, detections_per_image, task)
    comparison = compare_with_pycocotools(truth, results, task, rounds)
    ours, theirs = np.median(comparison.seconds), np.median(comparison.their_seconds)
    return (
        f"{task}: {num_images} images, {len(results)} detections, {rounds} round(s)\n"
        f"ours {ours:.2f} s of CPU time, pycocotools {theirs:.2f} s: {comparison.ratio:.1f} times "
        f"as fast\nlargest difference of {len(comparison.stats)} summary numbers: "
        f"{comparison.difference:.3g}"
    )
