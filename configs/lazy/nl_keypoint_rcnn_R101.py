"""Four non-local blocks in the keypoint head, and one in the backbone."""

from nonlocal_det.modeling import put_in_backbone

from .nl_keypoint_rcnn_R101_head import dataloader, lr_multiplier, model, optimizer, train

put_in_backbone(model, after_blocks=[[], [], [-2], []])
