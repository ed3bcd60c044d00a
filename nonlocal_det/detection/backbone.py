"""Non-local blocks in any of Detectron2's ResNets: upstream builds the network, we insert."""

from collections.abc import Sequence

from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY
from detectron2.modeling.backbone import FPN, ResNet, build_resnet_backbone
from detectron2.modeling.backbone.fpn import (
    build_resnet_fpn_backbone,
    build_retinanet_resnet_fpn_backbone,
)
from torch import nn

from .insertion import BlockFactory, block_from_config, detection_block, generator_of, insert_after
from .short_fpn import fit_top_block

STAGES = ("res2", "res3", "res4", "res5")


def add_nonlocal(
    resnet: ResNet,
    after_blocks: Sequence[Sequence[int]],
    block: BlockFactory = detection_block,
) -> ResNet:
    """Insert non-local blocks into a built ResNet or ResNeXt, of any depth and variant.

    *Source*: Wang et al., Non-local Neural Networks, Sec. 6: "right before the last residual block
    of res4" is ``[[], [], [-2], []]``.

    The block after residual block k of a stage becomes the stage's named child ``nl<k>``: no name
    of the ResNet changes, so its pre-trained weights load as before.

    Args:
        resnet: changed in place.
        after_blocks: for each of res2, res3, res4, res5 the residual blocks to follow, as Python
            indices: 0 is the first, -1 the last.
        block: makes the block for a number of channels, as
            ``functools.partial(NonLocalBlock, pairwise="dot_product", norm="")`` does.

    Returns:
        The same ``resnet``.

    Raises:
        TypeError: not a Detectron2 ResNet.
        ValueError: no position at all, one that does not exist or is given twice, or one in a
            frozen stage, where the block could never learn.

    Example:
        >>> from detectron2.modeling.backbone.resnet import BasicStem, ResNet
        >>> stages = ResNet.make_default_stages(18, norm="BN")
        >>> resnet = ResNet(BasicStem(norm="BN"), stages, out_features=["res4"])
        >>> [name for name, _ in add_nonlocal(resnet, [[], [], [-2], []]).res4.named_children()]
        ['0', 'nl0', '1']
    """
    if not isinstance(resnet, ResNet):
        raise TypeError(f"add_nonlocal needs a Detectron2 ResNet, not a {type(resnet).__name__}")
    positions = _check_positions(resnet, after_blocks)
    for stage_name, index in positions:
        stage = getattr(resnet, stage_name)
        name = f"nl{index}"
        with generator_of(f"{stage_name}.{name}"):
            made = block(getattr(stage, str(index)).out_channels)
        insert_after(stage, str(index), name, made.to(next(stage.parameters()).device))
    return resnet


def _check_positions(
    resnet: ResNet, after_blocks: Sequence[Sequence[int]]
) -> list[tuple[str, int]]:
    """The positions as (stage, index from 0), or the reason why they cannot be."""
    key = f"MODEL.NONLOCAL.AFTER_BLOCKS={[list(stage) for stage in after_blocks]}"
    if len(after_blocks) != len(STAGES):
        raise ValueError(f"{key}; expected four lists, for {', '.join(STAGES)}")
    if not any(after_blocks):
        raise ValueError(
            f"{key} leaves the backbone without a non-local block; name a position, as [[], [], "
            "[-2], []], or use the plain builder (MODEL.BACKBONE.NAME build_resnet_fpn_backbone)"
        )
    found: list[tuple[str, int]] = []
    for name, wanted in zip(STAGES, after_blocks, strict=True):
        if not wanted:
            continue
        stage = getattr(resnet, name, None)
        if stage is None:
            raise ValueError(
                f"{key}: this ResNet has no {name}, it ends at {resnet.stage_names[-1]}"
            )
        found += [(name, _index(key, name, stage, position)) for position in wanted]
        _check_not_frozen(key, name, stage)
    if len(set(found)) < len(found):
        raise ValueError(f"{key} names the same position twice: {found}")
    return found


def _index(key: str, name: str, stage: nn.Sequential, position: int) -> int:
    count = sum(child.isdigit() for child, _ in stage.named_children())
    if not -count <= position < count:
        raise ValueError(
            f"{key}: {name} has {count} residual blocks, so position {position} does not exist; "
            f"expected {-count}..{count - 1}"
        )
    return position % count


def _check_not_frozen(key: str, name: str, stage: nn.Sequential) -> None:
    if not any(parameter.requires_grad for parameter in stage.parameters()):
        raise ValueError(
            f"{key}: {name} is frozen, so a block in it would stay the identity for ever; set "
            f"MODEL.BACKBONE.FREEZE_AT to at most {STAGES.index(name) + 1} or choose a later stage"
        )


def _extend(resnet: ResNet, cfg: CfgNode) -> ResNet:
    block = block_from_config(cfg)
    return add_nonlocal(resnet, cfg.MODEL.NONLOCAL.AFTER_BLOCKS, block)


@BACKBONE_REGISTRY.register()
def build_nonlocal_resnet_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> ResNet:
    """Detectron2's ResNet with the non-local blocks of ``MODEL.NONLOCAL``."""
    return _extend(build_resnet_backbone(cfg, input_shape), cfg)


@BACKBONE_REGISTRY.register()
def build_nonlocal_resnet_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """Detectron2's ResNet-FPN with the non-local blocks of ``MODEL.NONLOCAL``."""
    fpn = fit_top_block(build_resnet_fpn_backbone(cfg, input_shape))
    _extend(fpn.bottom_up, cfg)
    return fpn


@BACKBONE_REGISTRY.register()
def build_nonlocal_retinanet_resnet_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """Detectron2's ResNet-FPN for RetinaNet with the non-local blocks of ``MODEL.NONLOCAL``."""
    fpn = build_retinanet_resnet_fpn_backbone(cfg, input_shape)
    _extend(fpn.bottom_up, cfg)
    return fpn
