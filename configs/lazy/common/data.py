"""COCO as Detectron2's lazy configs load it, with this project's evaluator."""

from detectron2 import model_zoo

from nonlocal_det.evaluation import COCOEvaluator

dataloader = model_zoo.get_config("common/data/coco.py").dataloader
dataloader.evaluator._target_ = COCOEvaluator
