"""Mask R-CNN with a ResNet-50-FPN: Detectron2's LazyConfig with its 1x schedule."""

from detectron2.model_zoo import get_config

from nonlocal_det.evaluation import COCOEvaluator

_base = get_config("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py")
dataloader, model, train = _base.dataloader, _base.model, _base.train
optimizer, lr_multiplier = _base.optimizer, _base.lr_multiplier
dataloader.evaluator._target_ = COCOEvaluator
