"""COCO's metrics on a maintained C++ implementation, behind Detectron2's evaluator protocol."""

from .coco import COCOEvaluator, build_evaluator

__all__ = ["COCOEvaluator", "build_evaluator"]
