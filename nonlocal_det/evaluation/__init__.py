"""COCO's metrics on a maintained C++ implementation, behind Detectron2's evaluator protocol.

And what lies behind an AP: sizes, crowdedness, kinds of error.
"""

from .analysis import analyze, analyze_files, format_analysis, format_comparison
from .box_errors import find_box_mistakes
from .breakdown import by_crowdedness, by_size
from .by_distance import accuracy_by_distance
from .coco import COCOEvaluator, build_evaluator
from .errors import error_table
from .keypoint_errors import find_keypoint_mistakes
from .keypoint_kinds import Pose, classify_keypoints
from .results import check_results, read_results, read_truth
from .summary import evaluate_results, summary

__all__ = [
    "COCOEvaluator",
    "Pose",
    "accuracy_by_distance",
    "analyze",
    "analyze_files",
    "build_evaluator",
    "by_crowdedness",
    "by_size",
    "check_results",
    "classify_keypoints",
    "error_table",
    "evaluate_results",
    "find_box_mistakes",
    "find_keypoint_mistakes",
    "format_analysis",
    "format_comparison",
    "read_results",
    "read_truth",
    "summary",
]
