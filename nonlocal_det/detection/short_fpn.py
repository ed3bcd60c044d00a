"""A ResNet-FPN whose ResNet ends before res5, for a receptive field that images can exceed."""

from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY
from detectron2.modeling.backbone import FPN
from detectron2.modeling.backbone.fpn import LastLevelMaxPool, build_resnet_fpn_backbone


def fit_top_block(fpn: FPN) -> FPN:
    """Let the pooled level of an FPN follow its own last level, whatever the ResNet's last stage.

    Detectron2's pools p5 by name. After a ResNet that ends at res4 that is the pooled level itself,
    and the forward pass fails. Where res5 is there, nothing changes.

    Args:
        fpn: changed in place.

    Returns:
        The same ``fpn``.
    """
    if isinstance(fpn.top_block, LastLevelMaxPool):
        *_, last, _ = fpn.output_shape()  # p2, p3, ... and the pooled level
        fpn.top_block.in_feature = last
    return fpn


@BACKBONE_REGISTRY.register()
def build_short_resnet_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """Detectron2's ResNet-FPN for any last stage, as ``OUT_FEATURES: [res2, res3, res4]``."""
    return fit_top_block(build_resnet_fpn_backbone(cfg, input_shape))
