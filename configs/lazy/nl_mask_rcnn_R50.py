"""One non-local block, right before the last residual block of res4."""

from detectron2.config import LazyCall

from nonlocal_det.detection import NonLocalGeneralizedRCNN, add_nonlocal
from nonlocal_det.layers import BlockOptions

from .mask_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

model._target_ = NonLocalGeneralizedRCNN  # blocks blind to the batch's padding
model.backbone = LazyCall(add_nonlocal)(
    backbone=model.backbone,
    after_blocks=[[], [], [-2], []],
    options=LazyCall(BlockOptions)(preset="paper_scaled", norm=""),
)
