"""The LazyConfig twin of ablations/nl_mask_rcnn_R50_dot_product.yaml, call by call."""

from nonlocal_det.training.lazy import twin

dataloader, lr_multiplier, model, optimizer, train = twin("ablations/nl_mask_rcnn_R50_dot_product")
