"""Keypoint R-CNN with a ResNet-101-FPN."""

from .keypoint_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
