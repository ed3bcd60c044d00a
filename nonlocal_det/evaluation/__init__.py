"""COCO's metrics on a maintained C++ implementation, behind Detectron2's evaluator protocol.

And what lies behind an AP: sizes, crowdedness, kinds of error.
"""

from .benchmark import benchmark_evaluation
from .breakdown import by_crowdedness, by_size
from .coco import COCOEvaluator, build_evaluator
from .drawn import draw_evaluation
from .summary import evaluate_results, summary

__all__ = [
    "COCOEvaluator",
    "benchmark_evaluation",
    "build_evaluator",
    "by_crowdedness",
    "by_size",
    "draw_evaluation",
    "evaluate_results",
    "summary",
]
