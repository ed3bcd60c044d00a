"""After every second residual block of res3 (2 blocks) and res4 (3 blocks)."""

from ..nl_mask_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.after_blocks = [[], [1, 3], [1, 3, 5], []]
