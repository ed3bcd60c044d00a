"""The paper's keypoint head: Mask R-CNN's stack of 8 convolutions with non-local blocks in it."""

from collections.abc import Sequence
from typing import Any

from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling import ROI_KEYPOINT_HEAD_REGISTRY
from detectron2.modeling.roi_heads.keypoint_head import KRCNNConvDeconvUpsampleHead

from nonlocal_det.layers import BlockOptions, insert_after
from nonlocal_det.layers.insertion import block_generator

from .backbone import DETECTION_BLOCK
from .config import block_options


@ROI_KEYPOINT_HEAD_REGISTRY.register()
class NonLocalKRCNNConvDeconvUpsampleHead(KRCNNConvDeconvUpsampleHead):
    """Detectron2's keypoint head with a non-local block after chosen convolutions.

    *Source*: Wang et al., Non-local Neural Networks, Sec. 6: four blocks, one after every two of
    the eight convolutions.

    The block after ``conv_fcn<k>`` and its ReLU is the child ``nl<k>``; all other names stay.
    DEVIATION: the paper does not say the blocks' inner width and subsampling here; they follow
    ``MODEL.NONLOCAL`` as in the backbone.

    Args:
        input_shape: of the RoI features.
        num_keypoints: keypoints to predict.
        conv_dims: output channels of each 3x3 convolution.
        after_convs: the convolutions to follow, counted from 1.
        options: of every block.
        loss_weight, loss_normalizer: as Detectron2's head has them.

    Shape:
        RoI features (R, C, S, S) -> heat maps (R, num_keypoints, 4 S, 4 S); R may be 0.

    Raises:
        ValueError: no position at all, one that does not exist, or one given twice.
    """

    @configurable
    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        num_keypoints: int,
        conv_dims: Sequence[int],
        after_convs: Sequence[int] = (2, 4, 6, 8),
        options: BlockOptions = DETECTION_BLOCK,
        loss_weight: float = 1.0,
        loss_normalizer: float | str = 1.0,
    ) -> None:
        # Upstream's __init__ draws every weight anew and ends the chain with score_lowres: the
        # blocks come afterwards, so that their zero stays zero, and into the middle.
        super().__init__(
            input_shape,
            num_keypoints=num_keypoints,
            conv_dims=conv_dims,
            loss_weight=loss_weight,
            loss_normalizer=loss_normalizer,
        )
        _check_positions(after_convs, len(conv_dims))
        for k in after_convs:
            with block_generator(f"keypoint_head.nl{k}"):
                block = options.build(conv_dims[k - 1])
            insert_after(self, f"conv_fcn_relu{k}", f"nl{k}", block)

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: ShapeSpec) -> dict[str, Any]:
        """Translate the config's keys to the constructor's arguments."""
        arguments = super().from_config(cfg, input_shape)
        arguments["options"] = block_options(cfg)
        arguments["after_convs"] = cfg.MODEL.NONLOCAL.KEYPOINT_AFTER_CONVS
        return arguments


def _check_positions(after_convs: Sequence[int], count: int) -> None:
    key = f"MODEL.NONLOCAL.KEYPOINT_AFTER_CONVS={list(after_convs)}"
    if not after_convs:
        raise ValueError(
            f"{key} leaves the keypoint head without a non-local block; name convolutions, as "
            "[2, 4, 6, 8], or use MODEL.ROI_KEYPOINT_HEAD.NAME KRCNNConvDeconvUpsampleHead"
        )
    wrong = [k for k in after_convs if not 1 <= k <= count]
    if wrong:
        raise ValueError(
            f"{key}: the head has {count} convolutions (MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS), so "
            f"{wrong} do not exist; expected numbers in 1..{count}"
        )
    if len(set(after_convs)) < len(after_convs):
        raise ValueError(f"{key} names the same convolution twice")
