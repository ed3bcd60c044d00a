"""The backbone as LazyConfig nodes: Detectron2's ResNet-FPN, and the blocks inserted into it."""

from typing import Any

from detectron2.config import CfgNode, LazyCall
from detectron2.layers import CNNBlockBase
from detectron2.modeling.backbone import FPN, BasicStem, ResNet
from detectron2.modeling.backbone.fpn import LastLevelMaxPool
from detectron2.modeling.backbone.resnet import BasicBlock, BottleneckBlock
from omegaconf import DictConfig

from nonlocal_det.detection.backbone import add_nonlocal
from nonlocal_det.detection.insertion import BlockFactory, build_block
from nonlocal_det.layers import InsertedBlock

from .reading import ReadConfig

BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Residual blocks of res2 to res5 by depth."""
_NONLOCAL = {  # builder -> whether blocks are inserted
    "build_resnet_fpn_backbone": False,
    "build_short_resnet_fpn_backbone": False,
    "build_nonlocal_resnet_fpn_backbone": True,
}


def make_block(
    *,
    operation: str = "nonlocal",
    preset: str = "paper",
    pairwise: str = "embedded_gaussian",
    kernel: str = "auto",
    subsample: str | None = None,
    scale: bool | None = None,
    norm: str = "",
    bottleneck_ratio: float = 0.5,
) -> BlockFactory:
    """The maker of blocks: the keys of ``MODEL.NONLOCAL`` in small letters, with their defaults.

    Args:
        operation: ``nonlocal``, ``per_position`` or ``global_context``.
        preset: decides what is None, and the initialisation.
        pairwise: the function f.
        kernel: how it is computed, never what.
        subsample: where the keys are pooled.
        scale: whether theta . phi is divided by the root of its width.
        norm: after w_z.
        bottleneck_ratio: inner width as a share of the map's.

    Raises:
        ValueError: when called, a value that the block refuses.
    """
    node = CfgNode({key.upper(): value for key, value in locals().items()})

    def build(channels: int) -> InsertedBlock:
        return build_block(node, channels)

    return build


def resnet_stages(
    *,
    depth: int,
    norm: str = "FrozenBN",
    stride_in_1x1: bool = True,
    num_groups: int = 1,
    width_per_group: int = 64,
    in_channels: int = 64,
    out_channels: int = 256,
) -> list[list[CNNBlockBase]]:
    """The stages of any ResNet or ResNeXt that Detectron2's builder makes, undilated.

    ``ResNet.make_default_stages``, which Detectron2's LazyConfigs call, knows one width only.

    Args:
        depth: one of `BLOCKS`.
        norm: a name of Detectron2's.
        stride_in_1x1: whether the first convolution of a bottleneck has the stride.
        num_groups: of the 3x3 convolutions of bottlenecks.
        width_per_group: channels of a group in res2; doubles from stage to stage.
        in_channels: of the stem.
        out_channels: of res2; doubles likewise.

    Raises:
        ValueError: a depth that does not exist.
    """
    if depth not in BLOCKS:
        raise ValueError(f"depth={depth}; expected one of {', '.join(map(str, BLOCKS))}")
    stages = []
    for number, count in enumerate(BLOCKS[depth]):
        inner: dict[str, Any] = {}
        if depth >= 50:
            width = num_groups * width_per_group * 2**number
            inner = {"bottleneck_channels": width, "num_groups": num_groups}
            inner["stride_in_1x1"] = stride_in_1x1
        stage = ResNet.make_stage(
            BottleneckBlock if depth >= 50 else BasicBlock,
            count,
            stride_per_block=[1 if number == 0 else 2] + [1] * (count - 1),
            in_channels=in_channels,
            out_channels=out_channels * 2**number,
            norm=norm,
            **inner,
        )
        stages.append(stage)
        in_channels = out_channels * 2**number
    return stages


def last_level_max_pool(*, in_feature: str) -> LastLevelMaxPool:
    """Detectron2's pooled level of an FPN, after a last level that need not be p5.

    Args:
        in_feature: the level it pools, as ``p4``.
    """
    pool = LastLevelMaxPool()
    pool.in_feature = in_feature
    return pool


def block_node(cfg: ReadConfig) -> DictConfig:
    """The call of `make_block` that ``MODEL.NONLOCAL`` describes."""
    node = cfg.MODEL.NONLOCAL
    return LazyCall(make_block)(
        operation=node.OPERATION,
        preset=node.PRESET,
        pairwise=node.PAIRWISE,
        kernel=node.KERNEL,
        subsample=node.SUBSAMPLE,
        scale=node.SCALE,
        norm=node.NORM,
        bottleneck_ratio=node.BOTTLENECK_RATIO,
    )


def backbone_node(cfg: ReadConfig) -> DictConfig:
    """The FPN, whose ``bottom_up`` is the ResNet, or the call of `add_nonlocal` with it.

    Raises:
        ValueError: ``MODEL.BACKBONE.NAME`` is another builder.
    """
    after_blocks, block = cfg.MODEL.NONLOCAL.AFTER_BLOCKS, block_node(cfg)
    bottom_up = _resnet_node(cfg)
    if cfg.MODEL.BACKBONE.choose("NAME", _NONLOCAL):
        bottom_up = LazyCall(add_nonlocal)(resnet=bottom_up, after_blocks=after_blocks, block=block)
    fpn = cfg.MODEL.FPN
    top_block = LazyCall(LastLevelMaxPool)()
    last = fpn.IN_FEATURES[-1].replace("res", "p")
    if last != "p5":
        top_block = LazyCall(last_level_max_pool)(in_feature=last)
    return LazyCall(FPN)(
        bottom_up=bottom_up,
        in_features=fpn.IN_FEATURES,
        out_channels=fpn.OUT_CHANNELS,
        norm=fpn.NORM,
        top_block=top_block,
        fuse_type=fpn.FUSE_TYPE,
    )


def _resnet_node(cfg: ReadConfig) -> DictConfig:
    resnet = cfg.MODEL.RESNETS
    return LazyCall(ResNet)(
        stem=LazyCall(BasicStem)(
            in_channels=len(cfg.MODEL.PIXEL_MEAN),
            out_channels=resnet.STEM_OUT_CHANNELS,
            norm=resnet.NORM,
        ),
        stages=LazyCall(resnet_stages)(
            depth=resnet.DEPTH,
            norm=resnet.NORM,
            stride_in_1x1=resnet.STRIDE_IN_1X1,
            num_groups=resnet.NUM_GROUPS,
            width_per_group=resnet.WIDTH_PER_GROUP,
            in_channels="${..stem.out_channels}",
            out_channels=resnet.RES2_OUT_CHANNELS,
        ),
        out_features=resnet.OUT_FEATURES,
        freeze_at=cfg.MODEL.BACKBONE.FREEZE_AT,
    )
