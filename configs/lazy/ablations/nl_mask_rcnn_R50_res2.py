"""In res2, frozen at FREEZE_AT 2; the baseline of this row needs freeze_at 1 too."""

from ..nl_mask_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.resnet.freeze_at = 1
model.backbone.bottom_up.after_blocks = [[-2], [], [], []]
