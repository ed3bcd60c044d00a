"""One non-local block in res4 and four in the keypoint head."""

from nonlocal_det.detection.lazy import lazy_blocks_in_backbone, lazy_blocks_in_keypoint_head

from .mask_keypoint_rcnn_R18 import dataloader, lr_multiplier, model, optimizer, train

lazy_blocks_in_backbone(model)
lazy_blocks_in_keypoint_head(model)
train.output_dir = "output/lazy/quick/nl_mask_keypoint_rcnn_R18"
