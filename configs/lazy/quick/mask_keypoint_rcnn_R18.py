"""The LazyConfig twin of quick/mask_keypoint_rcnn_R18.yaml, call by call."""

from nonlocal_det.training.lazy import twin

dataloader, lr_multiplier, model, optimizer, train = twin("quick/mask_keypoint_rcnn_R18")
