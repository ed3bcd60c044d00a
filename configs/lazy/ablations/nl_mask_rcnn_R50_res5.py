"""Right before the last residual block of res5."""

from ..nl_mask_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.after_blocks = [[], [], [], [-2]]
