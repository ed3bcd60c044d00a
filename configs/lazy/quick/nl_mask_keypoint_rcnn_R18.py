"""One non-local block in res4 and four in the keypoint head of the small model."""

from detectron2.config import LazyCall

from nonlocal_det.detection import (
    NonLocalGeneralizedRCNN,
    NonLocalKRCNNConvDeconvUpsampleHead,
    add_nonlocal,
)
from nonlocal_det.layers import BlockOptions

from .mask_keypoint_rcnn_R18 import dataloader, lr_multiplier, model, optimizer, train

model._target_ = NonLocalGeneralizedRCNN  # blocks blind to the batch's padding
model.backbone = LazyCall(add_nonlocal)(
    backbone=model.backbone,
    after_blocks=[[], [], [-2], []],
    options=LazyCall(BlockOptions)(preset="paper_scaled", norm=""),
)
model.roi_heads.keypoint_head.update(
    _target_=NonLocalKRCNNConvDeconvUpsampleHead,
    after_convs=[2, 4, 6, 8],
    options=LazyCall(BlockOptions)(preset="paper_scaled", norm=""),
)
train.output_dir = "output/lazy/quick/nl_mask_keypoint_rcnn_R18"
