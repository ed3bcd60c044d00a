"""Four non-local blocks in the keypoint head, and one in the backbone."""

from nonlocal_det.detection.lazy import lazy_blocks_in_backbone

from .nl_keypoint_rcnn_R50_head import dataloader, lr_multiplier, model, optimizer, train

lazy_blocks_in_backbone(model)
