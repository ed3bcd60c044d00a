"""Non-local blocks in any of Detectron2's ResNets: upstream builds the network, we insert."""

from collections.abc import Sequence

from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY
from detectron2.modeling.backbone import FPN, Backbone, ResNet, build_resnet_backbone
from detectron2.modeling.backbone.fpn import (
    build_resnet_fpn_backbone,
    build_retinanet_resnet_fpn_backbone,
)

from nonlocal_det.layers import BlockOptions, checkpoint_gradients, insert_blocks
from nonlocal_det.layers.insertion import STAGES

from .config import block_options
from .short_fpn import fit_top_block

DETECTION_BLOCK = BlockOptions(norm="")
"""The paper's block with no norm, w_z starting at 0: the default beside frozen batch norms."""


def add_nonlocal(
    backbone: Backbone,
    after_blocks: Sequence[Sequence[int]],
    options: BlockOptions = DETECTION_BLOCK,
) -> Backbone:
    """Insert non-local blocks into a built ResNet or ResNeXt, of any depth and variant.

    *Source*: Wang et al., Non-local Neural Networks, Sec. 6: "right before the last residual block
    of res4" is ``[[], [], [-2], []]``.

    The block after residual block k of a stage becomes the stage's named child ``nl<k>``: no name
    of the ResNet changes, so its pre-trained weights load as before.

    Args:
        backbone: a ResNet, or an FPN on one; changed in place.
        after_blocks: for each of res2, res3, res4, res5 the residual blocks to follow, as Python
            indices: 0 is the first, -1 the last.
        options: of every block.

    Returns:
        The same ``backbone``.

    Raises:
        TypeError: not a Detectron2 ResNet, nor an FPN on one.
        ValueError: no position at all, one that does not exist or is given twice, or one in a
            frozen stage, where the block could never learn.

    Example:
        >>> from detectron2.modeling.backbone.resnet import BasicStem, ResNet
        >>> stages = ResNet.make_default_stages(18, norm="BN")
        >>> resnet = ResNet(BasicStem(norm="BN"), stages, out_features=["res4"])
        >>> [name for name, _ in add_nonlocal(resnet, [[], [], [-2], []]).res4.named_children()]
        ['0', 'nl0', '1']
    """
    resnet = backbone.bottom_up if isinstance(backbone, FPN) else backbone
    if not isinstance(resnet, ResNet):
        raise TypeError(f"add_nonlocal needs a Detectron2 ResNet, not a {type(resnet).__name__}")
    stages = {name: getattr(resnet, name) for name in STAGES if hasattr(resnet, name)}
    insert_blocks(stages, after_blocks, options)
    return backbone


def _extend(backbone: Backbone, cfg: CfgNode) -> Backbone:
    options = block_options(cfg)
    node = cfg.MODEL.NONLOCAL
    add_nonlocal(backbone, node.AFTER_BLOCKS, options)
    resnet = backbone.bottom_up if isinstance(backbone, FPN) else backbone
    for stage in resnet.stages:
        if any(parameter.requires_grad for parameter in stage.parameters()):
            checkpoint_gradients(stage, node.GRADIENT_CHECKPOINTING)
    return backbone


@BACKBONE_REGISTRY.register()
def build_nonlocal_resnet_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> ResNet:
    """Detectron2's ResNet with the non-local blocks of ``MODEL.NONLOCAL``."""
    return _extend(build_resnet_backbone(cfg, input_shape), cfg)


@BACKBONE_REGISTRY.register()
def build_nonlocal_resnet_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """Detectron2's ResNet-FPN with the non-local blocks of ``MODEL.NONLOCAL``."""
    return _extend(fit_top_block(build_resnet_fpn_backbone(cfg, input_shape)), cfg)


@BACKBONE_REGISTRY.register()
def build_nonlocal_retinanet_resnet_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """Detectron2's ResNet-FPN for RetinaNet with the non-local blocks of ``MODEL.NONLOCAL``."""
    return _extend(build_retinanet_resnet_fpn_backbone(cfg, input_shape), cfg)
