"""Four non-local blocks in the keypoint head, after every second convolution."""

from nonlocal_det.modeling import put_in_keypoint_head

from .keypoint_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

put_in_keypoint_head(model, after_convs=[2, 4, 6, 8])
