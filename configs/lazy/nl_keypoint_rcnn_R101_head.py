"""Four non-local blocks in the keypoint head, after every second convolution."""

from detectron2.config import LazyCall

from nonlocal_det.detection import NonLocalKRCNNConvDeconvUpsampleHead
from nonlocal_det.layers import BlockOptions

from .keypoint_rcnn_R101 import dataloader, lr_multiplier, model, optimizer, train

model.roi_heads.keypoint_head.update(
    _target_=NonLocalKRCNNConvDeconvUpsampleHead,
    after_convs=[2, 4, 6, 8],
    options=LazyCall(BlockOptions)(preset="paper_scaled", norm=""),
)
