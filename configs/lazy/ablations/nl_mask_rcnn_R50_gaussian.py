"""The gaussian form, in which theta and phi are x itself."""

from ..nl_mask_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.block.pairwise = "gaussian"
