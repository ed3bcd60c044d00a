"""One non-local block in res4, right before its last residual block."""

from nonlocal_det.modeling import put_in_backbone

from .beacon_R18 import dataloader, lr_multiplier, model, optimizer, train

put_in_backbone(model, after_blocks=[[], [], [-2], []])
train.output_dir = "output/lazy/long_range/nl_beacon_R18"
