"""One non-local block in res4 and four in the keypoint head."""

from nonlocal_det.modeling import put_in_backbone, put_in_keypoint_head

from .mask_keypoint_rcnn_R18 import dataloader, lr_multiplier, model, optimizer, train

put_in_backbone(model, after_blocks=[[], [], [-2], []])
put_in_keypoint_head(model, after_convs=[2, 4, 6, 8])
train.output_dir = "output/lazy/quick/nl_mask_keypoint_rcnn_R18"
