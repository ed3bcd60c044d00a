"""COCO's metrics on a maintained C++ implementation, behind Detectron2's evaluator protocol.

And what lies behind an AP: sizes, crowdedness, kinds of error.
"""

from .analysis import (
    analyze_files,
    analyze_results,
    by_crowdedness,
    by_size,
    error_table,
)
from .box_errors import find_box_mistakes
from .by_distance import accuracy_by_distance, accuracy_by_gap, measure_by_distance
from .coco import COCOEvaluator
from .evaluators import augment_model, build_evaluator, register_evaluator
from .keypoint_errors import KeypointSpec, classify_keypoints, find_keypoint_mistakes
from .results import check_results, read_results, read_truth
from .summary import evaluate_results, summary
from .video import VideoEvaluator

__all__ = [
    "COCOEvaluator",
    "KeypointSpec",
    "VideoEvaluator",
    "accuracy_by_distance",
    "accuracy_by_gap",
    "analyze_files",
    "analyze_results",
    "augment_model",
    "build_evaluator",
    "by_crowdedness",
    "by_size",
    "check_results",
    "classify_keypoints",
    "error_table",
    "evaluate_results",
    "find_box_mistakes",
    "find_keypoint_mistakes",
    "measure_by_distance",
    "read_results",
    "read_truth",
    "register_evaluator",
    "summary",
]
