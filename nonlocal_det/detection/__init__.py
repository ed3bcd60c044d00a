"""The components that Detectron2's registries know: backbones and the keypoint head."""

from .backbone import (
    DETECTION_BLOCK,
    add_nonlocal,
    build_nonlocal_resnet_backbone,
    build_nonlocal_resnet_fpn_backbone,
    build_nonlocal_retinanet_resnet_fpn_backbone,
)
from .config import add_nonlocal_config, block_options
from .keypoint_head import NonLocalKRCNNConvDeconvUpsampleHead
from .named_outputs import register_heads
from .rcnn import NonLocalGeneralizedRCNN
from .short_fpn import build_short_resnet_fpn_backbone, fit_top_block

__all__ = [
    "DETECTION_BLOCK",
    "NonLocalGeneralizedRCNN",
    "NonLocalKRCNNConvDeconvUpsampleHead",
    "add_nonlocal",
    "add_nonlocal_config",
    "block_options",
    "build_nonlocal_resnet_backbone",
    "build_nonlocal_resnet_fpn_backbone",
    "build_nonlocal_retinanet_resnet_fpn_backbone",
    "build_short_resnet_fpn_backbone",
    "fit_top_block",
]

register_heads()
