"""Pooling before phi and g, d^-1/2 on theta.phi, normal initialisation: the authors' code."""

from ..nl_mask_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.block.preset = "authors_code"
