"""The dot product, divided by the number of keys."""

from ..nl_mask_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.block.pairwise = "dot_product"
