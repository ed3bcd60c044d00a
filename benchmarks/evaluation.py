"""Time of the COCO evaluation against pycocotools', and the largest difference of their numbers.

OMP_NUM_THREADS=1 python benchmarks/evaluation.py --task bbox
"""

import argparse
import contextlib
import copy
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from drawn_results import draw_evaluation
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nonlocal_det.evaluation import evaluate_results


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


def compare_with_pycocotools(
    truth: dict[str, Any], results: list[dict[str, Any]], task: str, rounds: int = 1
) -> Comparison:
    """Evaluate with both, in turn; the copies that pycocotools then changes are not timed.

    Args:
        truth: a COCO json.
        results: detections.
        task: bbox, segm or keypoints.
        rounds: how often.
    """
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


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description="Measure the COCO evaluation on drawn data.")
    parser.add_argument("--task", choices=("bbox", "segm", "keypoints"), default="bbox")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=100, help="in every image")
    parser.add_argument("--rounds", type=int, default=1, help="interleaved; the median counts")
    args = parser.parse_args(argv)
    for name in ("images", "detections", "rounds"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} {getattr(args, name)}; expected at least 1")
    truth, results = draw_evaluation(args.images, args.detections, args.task)
    comparison = compare_with_pycocotools(truth, results, args.task, args.rounds)
    ours, theirs = np.median(comparison.seconds), np.median(comparison.their_seconds)
    print(
        f"{args.task}: {args.images} images, {len(results)} detections, {args.rounds} round(s)\n"
        f"ours {ours:.2f} s of CPU time, pycocotools {theirs:.2f} s: {theirs / ours:.1f} times as "
        f"fast\nlargest difference of {len(comparison.stats)} summary numbers: "
        f"{np.abs(comparison.stats - comparison.their_stats).max():.3g}"
    )


if __name__ == "__main__":
    main()
