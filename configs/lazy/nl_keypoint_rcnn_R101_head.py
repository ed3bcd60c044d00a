"""Four non-local blocks in the keypoint head, after every second convolution."""

from nonlocal_det.detection.lazy import lazy_blocks_in_keypoint_head

from .keypoint_rcnn_R101 import dataloader, lr_multiplier, model, optimizer, train

lazy_blocks_in_keypoint_head(model)
