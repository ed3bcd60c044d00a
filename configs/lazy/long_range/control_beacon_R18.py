"""The non-local block's parameters and multiply-adds at the same place, without its reach."""

from .nl_beacon_R18 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.fpn.bottom_up.block.operation = "per_position"
train.output_dir = "output/lazy/long_range/control_beacon_R18"
