"""One non-local block, right before the last residual block of res4."""

from nonlocal_det.modeling import put_in_backbone

from .mask_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

put_in_backbone(model, after_blocks=[[], [], [-2], []])
