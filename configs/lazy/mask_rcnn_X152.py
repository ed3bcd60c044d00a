"""Mask R-CNN with X152-FPN (32 x 8d), from ImageNet-5k weights; the paper does not say which."""

from detectron2.config import LazyCall as L

from nonlocal_det.modeling import resnext_stages

from .mask_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages = L(resnext_stages)(
    depth=152, num_groups=32, width_per_group=8, norm="FrozenBN", stride_in_1x1=False
)
train.init_checkpoint = "catalog://ImageNetPretrained/FAIR/X-152-32x8d-IN5k"
