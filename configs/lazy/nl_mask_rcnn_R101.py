"""One non-local block right before the last residual block of res4."""

from nonlocal_det.detection.lazy import lazy_blocks_in_backbone

from .mask_rcnn_R101 import dataloader, lr_multiplier, model, optimizer, train

lazy_blocks_in_backbone(model)
