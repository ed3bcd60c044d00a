"""GCNet's global context block at the same place: what a query receives is the same for all."""

from .nl_beacon_R18 import dataloader, lr_multiplier, model, optimizer, train

# the ratio is that paper's 1 / 16
model.backbone.fpn.bottom_up.block.update(operation="global_context", bottleneck_ratio=0.0625)
train.output_dir = "output/lazy/long_range/gcnet_beacon_R18"
