"""The LazyConfig twin of mask_rcnn_R101.yaml, call by call."""

from nonlocal_det.training.lazy import twin

dataloader, lr_multiplier, model, optimizer, train = twin("mask_rcnn_R101")
