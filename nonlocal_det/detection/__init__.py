"""The components that Detectron2's registries know: backbones and the keypoint head."""

from .backbone import (
    add_nonlocal,
    build_nonlocal_resnet_backbone,
    build_nonlocal_resnet_fpn_backbone,
    build_nonlocal_retinanet_resnet_fpn_backbone,
)
from .insertion import (
    OPERATIONS,
    BlockFactory,
    block_from_config,
    detection_block,
    nonlocal_blocks,
)
from .keypoint_head import NonLocalKRCNNConvDeconvUpsampleHead
from .rcnn import NonLocalGeneralizedRCNN
from .short_fpn import build_short_resnet_fpn_backbone, fit_top_block

__all__ = [
    "OPERATIONS",
    "BlockFactory",
    "NonLocalGeneralizedRCNN",
    "NonLocalKRCNNConvDeconvUpsampleHead",
    "add_nonlocal",
    "block_from_config",
    "build_nonlocal_resnet_backbone",
    "build_nonlocal_resnet_fpn_backbone",
    "build_nonlocal_retinanet_resnet_fpn_backbone",
    "build_short_resnet_fpn_backbone",
    "detection_block",
    "fit_top_block",
    "nonlocal_blocks",
]
