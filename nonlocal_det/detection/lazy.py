"""Non-local blocks in a model of Detectron2's LazyConfigs."""

from collections.abc import Sequence

from detectron2.config import LazyCall
from detectron2.modeling.backbone.resnet import BottleneckBlock, CNNBlockBase, ResNet
from omegaconf import DictConfig

from nonlocal_det.layers import BlockOptions

from .backbone import add_nonlocal
from .keypoint_head import NonLocalKRCNNConvDeconvUpsampleHead
from .rcnn import NonLocalGeneralizedRCNN


def lazy_blocks_in_backbone(
    model: DictConfig, after_blocks: Sequence[Sequence[int]] = ((), (), (-2,), ())
) -> None:
    """Insert blocks into the ResNet of a lazy Mask R-CNN, and hide a batch's padding from them.

    Args:
        model: as ``common/models/mask_rcnn_fpn.py`` has it, changed in place. The blocks' options
            are then ``model.backbone.bottom_up.options``, as fields of `BlockOptions`.
        after_blocks: as of `add_nonlocal`.
    """
    model._target_ = NonLocalGeneralizedRCNN
    backbone = model.backbone
    backbone.in_features = list(backbone.bottom_up.out_features)
    backbone.bottom_up = LazyCall(add_nonlocal)(
        resnet=backbone.bottom_up,
        after_blocks=[list(stage) for stage in after_blocks],
        options=LazyCall(BlockOptions)(norm=""),
    )


def lazy_blocks_in_keypoint_head(
    model: DictConfig, after_convs: Sequence[int] = (2, 4, 6, 8)
) -> None:
    """Insert blocks into the keypoint head of a lazy Keypoint R-CNN.

    Args:
        model: as ``common/models/keypoint_rcnn_fpn.py`` has it, changed in place. The blocks'
            options are then ``model.roi_heads.keypoint_head.options``.
        after_convs: the convolutions to follow, counted from 1.
    """
    head = model.roi_heads.keypoint_head
    head._target_ = NonLocalKRCNNConvDeconvUpsampleHead
    head.after_convs = list(after_convs)
    head.options = LazyCall(BlockOptions)(norm="")


def make_resnext_stages(
    blocks: Sequence[int], groups: int, width: int, norm: str
) -> list[list[CNNBlockBase]]:
    """Make the stages of a ResNeXt, which ``ResNet.make_default_stages`` cannot.

    Args:
        blocks: residual blocks of res2, res3, res4, res5.
        groups: of the 3x3 convolutions.
        width: channels of a group in res2; it doubles from stage to stage.
        norm: as of Detectron2's ``get_norm``.
    """
    stages, channels = [], 64
    for place, count in enumerate(blocks):
        out = 256 * 2**place
        stages.append(
            ResNet.make_stage(
                BottleneckBlock,
                count,
                stride_per_block=[1 if place == 0 else 2] + [1] * (count - 1),
                in_channels=channels,
                out_channels=out,
                bottleneck_channels=groups * width * 2**place,
                num_groups=groups,
                norm=norm,
            )
        )
        channels = out
    return stages
