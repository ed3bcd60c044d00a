"""After every residual block of res3 and res4."""

from ..nl_mask_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.after_blocks = [[], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5], []]
