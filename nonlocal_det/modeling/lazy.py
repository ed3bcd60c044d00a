"""For Detectron2's LazyConfig: the same models, described as calls that a config can change."""

from collections.abc import Sequence

from detectron2.config import CfgNode, LazyCall
from detectron2.layers import CNNBlockBase
from detectron2.modeling.backbone import ResNet
from detectron2.modeling.backbone.resnet import BottleneckBlock
from omegaconf import DictConfig, OmegaConf

from .backbone import add_nonlocal
from .insertion import BlockFactory, factory_of
from .keypoint_head import NonLocalKRCNNConvDeconvUpsampleHead
from .rcnn import NonLocalGeneralizedRCNN


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
    """The maker of blocks, as ``MODEL.NONLOCAL`` describes it in a YAML config.

    The arguments are the keys of that node in small letters, with their defaults.

    Args:
        operation: see `OPERATIONS`.
        preset: decides what is None; see `PRESETS`.
        pairwise: the function; see `PAIRWISE`.
        kernel: how it is computed; see `KERNELS`.
        subsample: where the keys are pooled; see `SUBSAMPLE`.
        scale: whether theta . phi is scaled.
        norm: after w_z; see `NORMS`.
        bottleneck_ratio: inner width over the map's.

    Raises:
        ValueError: when called, a value that the block refuses.
    """
    node = CfgNode(
        {
            "OPERATION": operation,
            "PRESET": preset,
            "PAIRWISE": pairwise,
            "KERNEL": kernel,
            "SUBSAMPLE": subsample,
            "SCALE": scale,
            "NORM": norm,
            "BOTTLENECK_RATIO": bottleneck_ratio,
        }
    )
    return factory_of(node)


def put_in_backbone(
    model: DictConfig, after_blocks: Sequence[Sequence[int]] = ((), (), (-2,), ())
) -> DictConfig:
    """Let a lazy model have non-local blocks in its ResNet, blind to the padding of a batch.

    Args:
        model: a lazy GeneralizedRCNN with an FPN; changed in place.
        after_blocks: see `add_nonlocal`; by default right before the last block of res4.

    Returns:
        The call of `add_nonlocal`, whose ``after_blocks`` and ``block`` (see `make_block`) a config
        may change.
    """
    fpn = model.backbone.get("fpn", model.backbone)  # inside fit_top_block, where it is
    # explicit: "${.bottom_up.out_features}" would look into the new call
    fpn.in_features = OmegaConf.to_object(fpn.bottom_up.out_features)
    fpn.bottom_up = LazyCall(add_nonlocal)(
        resnet=fpn.bottom_up,
        after_blocks=[list(stage) for stage in after_blocks],
        block=LazyCall(make_block)(),
    )
    model._target_ = NonLocalGeneralizedRCNN
    return fpn.bottom_up


def put_in_keypoint_head(
    model: DictConfig, after_convs: Sequence[int] = (2, 4, 6, 8)
) -> DictConfig:
    """Let a lazy model's keypoint head have non-local blocks.

    Args:
        model: a lazy GeneralizedRCNN with a keypoint head; changed in place.
        after_convs: see `NonLocalKRCNNConvDeconvUpsampleHead`.

    Returns:
        The call of the head, whose ``after_convs`` and ``block`` a config may change.
    """
    head = model.roi_heads.keypoint_head
    head._target_ = NonLocalKRCNNConvDeconvUpsampleHead
    head.after_convs = list(after_convs)
    head.block = LazyCall(make_block)()
    return head


def resnext_stages(
    *, depth: int, num_groups: int, width_per_group: int, norm: str, stride_in_1x1: bool
) -> list[list[CNNBlockBase]]:
    """The stages of a ResNeXt, which `ResNet.make_default_stages` has no width for.

    Args:
        depth: 50, 101 or 152.
        num_groups: of the 3x3 convolutions.
        width_per_group: channels of a group in res2; doubles from stage to stage.
        norm: a name of Detectron2's.
        stride_in_1x1: whether the first convolution of a stage has the stride.
    """
    counts = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}[depth]
    return [
        ResNet.make_stage(
            BottleneckBlock,
            count,
            stride_per_block=[1 if k == 0 else 2] + [1] * (count - 1),
            in_channels=64 if k == 0 else 128 * 2**k,
            out_channels=256 * 2**k,
            bottleneck_channels=num_groups * width_per_group * 2**k,
            num_groups=num_groups,
            norm=norm,
            stride_in_1x1=stride_in_1x1,
        )
        for k, count in enumerate(counts)
    ]
