"""Mask R-CNN R50-FPN: the baseline of nl_mask_rcnn_R50.py."""

from detectron2.config import LazyCall as L
from detectron2.model_zoo import get_config

from nonlocal_det.evaluation import COCOEvaluator

dataloader = get_config("common/data/coco.py").dataloader
dataloader.evaluator = L(COCOEvaluator)(dataset_name="${..test.dataset.names}")
lr_multiplier = get_config("common/coco_schedule.py").lr_multiplier_1x
model = get_config("common/models/mask_rcnn_fpn.py").model
model.backbone.bottom_up.freeze_at = 2
optimizer = get_config("common/optim.py").SGD
train = get_config("common/train.py").train
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
