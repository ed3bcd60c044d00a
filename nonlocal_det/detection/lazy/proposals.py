"""The region proposal network as LazyConfig nodes."""

from detectron2.config import LazyCall
from detectron2.modeling.anchor_generator import DefaultAnchorGenerator
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.matcher import Matcher
from detectron2.modeling.proposal_generator import RPN, StandardRPNHead
from omegaconf import DictConfig

from .reading import ReadConfig


def stride_of(feature: str) -> int:
    """Pixels of the image a position of an FPN's level: 4 for ``p2``."""
    return 2 ** int(feature.removeprefix("p"))


def proposal_node(cfg: ReadConfig) -> DictConfig:
    """Detectron2's RPN."""
    rpn = cfg.MODEL.RPN
    anchors = cfg.MODEL.ANCHOR_GENERATOR
    features = rpn.IN_FEATURES
    return LazyCall(RPN)(
        in_features=features,
        head=LazyCall(StandardRPNHead)(
            in_channels="${...backbone.out_channels}",
            num_anchors=len(anchors.SIZES[0]) * len(anchors.ASPECT_RATIOS[0]),
            conv_dims=rpn.CONV_DIMS,
        ),
        anchor_generator=LazyCall(DefaultAnchorGenerator)(
            sizes=anchors.SIZES,
            aspect_ratios=anchors.ASPECT_RATIOS,
            strides=[stride_of(feature) for feature in features],
            offset=anchors.OFFSET,
        ),
        anchor_matcher=LazyCall(Matcher)(
            thresholds=rpn.IOU_THRESHOLDS, labels=rpn.IOU_LABELS, allow_low_quality_matches=True
        ),
        box2box_transform=LazyCall(Box2BoxTransform)(weights=rpn.BBOX_REG_WEIGHTS),
        batch_size_per_image=rpn.BATCH_SIZE_PER_IMAGE,
        positive_fraction=rpn.POSITIVE_FRACTION,
        pre_nms_topk=[rpn.PRE_NMS_TOPK_TRAIN, rpn.PRE_NMS_TOPK_TEST],
        post_nms_topk=[rpn.POST_NMS_TOPK_TRAIN, rpn.POST_NMS_TOPK_TEST],
        nms_thresh=rpn.NMS_THRESH,
        min_box_size=float(cfg.MODEL.PROPOSAL_GENERATOR.MIN_SIZE),
        anchor_boundary_thresh=float(rpn.BOUNDARY_THRESH),
        loss_weight={
            "loss_rpn_cls": rpn.LOSS_WEIGHT,
            "loss_rpn_loc": rpn.BBOX_REG_LOSS_WEIGHT * rpn.LOSS_WEIGHT,
        },
        box_reg_loss_type=rpn.BBOX_REG_LOSS_TYPE,
        smooth_l1_beta=rpn.SMOOTH_L1_BETA,
    )
