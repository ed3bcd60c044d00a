"""Mask R-CNN X152-32x8d-FPN: the baseline of nl_mask_rcnn_X152.py."""

from detectron2.config import LazyCall as L

from nonlocal_det.detection.lazy import make_resnext_stages

from .mask_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages = L(make_resnext_stages)(
    blocks=[3, 8, 36, 3], groups=32, width=8, norm="FrozenBN"
)
train.init_checkpoint = "catalog://ImageNetPretrained/FAIR/X-152-32x8d-IN5k"
