"""Keypoint R-CNN with R50-FPN: Detectron2's, 1x."""

from detectron2 import model_zoo

from .common.keypoint_data import dataloader
from .common.train import lr_multiplier, optimizer, train

model = model_zoo.get_config("common/models/keypoint_rcnn_fpn.py").model
model.backbone.bottom_up.freeze_at = 2
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
