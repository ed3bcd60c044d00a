"""The LazyConfig twin of ablations/nl_mask_rcnn_R50_5blocks.yaml, call by call."""

from nonlocal_det.training.lazy import twin

dataloader, lr_multiplier, model, optimizer, train = twin("ablations/nl_mask_rcnn_R50_5blocks")
