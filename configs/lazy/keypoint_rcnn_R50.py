"""Keypoint R-CNN R50-FPN: the baseline of nl_keypoint_rcnn_R50.py."""

from detectron2.config import LazyCall as L
from detectron2.model_zoo import get_config

from nonlocal_det.evaluation import COCOEvaluator

from .mask_rcnn_R50 import lr_multiplier, optimizer, train

dataloader = get_config("common/data/coco_keypoint.py").dataloader
dataloader.evaluator = L(COCOEvaluator)(dataset_name="${..test.dataset.names}")
model = get_config("common/models/keypoint_rcnn_fpn.py").model
model.backbone.bottom_up.freeze_at = 2
