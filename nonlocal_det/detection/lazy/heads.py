"""The heads on the regions of interest as LazyConfig nodes."""

from detectron2.config import LazyCall
from detectron2.layers import ShapeSpec
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.matcher import Matcher
from detectron2.modeling.poolers import ROIPooler
from detectron2.modeling.roi_heads import (
    FastRCNNConvFCHead,
    FastRCNNOutputLayers,
    KRCNNConvDeconvUpsampleHead,
    MaskRCNNConvUpsampleHead,
    StandardROIHeads,
)
from omegaconf import DictConfig

from nonlocal_det.detection.keypoint_head import NonLocalKRCNNConvDeconvUpsampleHead

from .backbone import block_node
from .proposals import stride_of
from .reading import ReadConfig

_KEYPOINT_HEADS = {
    kind.__name__: kind
    for kind in (KRCNNConvDeconvUpsampleHead, NonLocalKRCNNConvDeconvUpsampleHead)
}


def heads_node(cfg: ReadConfig) -> DictConfig:
    """Detectron2's StandardROIHeads: boxes, and masks and keypoints where the config has them.

    Raises:
        ValueError: another class of heads, of which there is no LazyConfig form here.
    """
    heads = cfg.MODEL.ROI_HEADS
    node = LazyCall(heads.choose("NAME", {"StandardROIHeads": StandardROIHeads}))(
        num_classes=heads.NUM_CLASSES,
        batch_size_per_image=heads.BATCH_SIZE_PER_IMAGE,
        positive_fraction=heads.POSITIVE_FRACTION,
        proposal_append_gt=heads.PROPOSAL_APPEND_GT,
        proposal_matcher=LazyCall(Matcher)(
            thresholds=heads.IOU_THRESHOLDS,
            labels=heads.IOU_LABELS,
            allow_low_quality_matches=False,
        ),
        train_on_pred_boxes=cfg.MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES,
        box_in_features=heads.IN_FEATURES,
        box_pooler=_pooler_node(cfg.MODEL.ROI_BOX_HEAD, heads.IN_FEATURES),
        box_head=_box_node(cfg),
        box_predictor=_predictor_node(cfg),
    )
    # read in any case: what a config says of a head that it does not have is not lost
    for part, wanted, head, pooled in (
        ("mask", cfg.MODEL.MASK_ON, _mask_node(cfg), cfg.MODEL.ROI_MASK_HEAD),
        ("keypoint", cfg.MODEL.KEYPOINT_ON, _keypoint_node(cfg), cfg.MODEL.ROI_KEYPOINT_HEAD),
    ):
        pooler = _pooler_node(pooled, heads.IN_FEATURES)
        if wanted:
            node[f"{part}_in_features"] = heads.IN_FEATURES
            node[f"{part}_pooler"] = pooler
            node[f"{part}_head"] = head
    return node


def _pooler_node(head: ReadConfig, features: list[str]) -> DictConfig:
    return LazyCall(ROIPooler)(
        output_size=head.POOLER_RESOLUTION,
        scales=[1 / stride_of(feature) for feature in features],
        sampling_ratio=head.POOLER_SAMPLING_RATIO,
        pooler_type=head.POOLER_TYPE,
    )


def _shape_node(part: str) -> DictConfig:
    """What the pooler of a part gives its head, ``part_head.input_shape``."""
    size = f"${{...{part}_pooler.output_size}}"
    return LazyCall(ShapeSpec)(channels="${....backbone.out_channels}", height=size, width=size)


def _box_node(cfg: ReadConfig) -> DictConfig:
    head = cfg.MODEL.ROI_BOX_HEAD
    return LazyCall(head.choose("NAME", {"FastRCNNConvFCHead": FastRCNNConvFCHead}))(
        input_shape=_shape_node("box"),
        conv_dims=[head.CONV_DIM] * head.NUM_CONV,
        fc_dims=[head.FC_DIM] * head.NUM_FC,
        conv_norm=head.NORM,
    )


def _predictor_node(cfg: ReadConfig) -> DictConfig:
    head, heads = cfg.MODEL.ROI_BOX_HEAD, cfg.MODEL.ROI_HEADS
    if head.NUM_FC < 1:
        raise ValueError(
            f"MODEL.ROI_BOX_HEAD.NUM_FC={head.NUM_FC} has no LazyConfig form here; give 1 or more"
        )
    return LazyCall(FastRCNNOutputLayers)(
        input_shape=LazyCall(ShapeSpec)(channels=f"${{...box_head.fc_dims.{head.NUM_FC - 1}}}"),
        box2box_transform=LazyCall(Box2BoxTransform)(weights=head.BBOX_REG_WEIGHTS),
        num_classes="${..num_classes}",
        cls_agnostic_bbox_reg=head.CLS_AGNOSTIC_BBOX_REG,
        smooth_l1_beta=head.SMOOTH_L1_BETA,
        test_score_thresh=heads.SCORE_THRESH_TEST,
        test_nms_thresh=heads.NMS_THRESH_TEST,
        test_topk_per_image=cfg.TEST.DETECTIONS_PER_IMAGE,
        box_reg_loss_type=head.BBOX_REG_LOSS_TYPE,
        loss_weight={"loss_box_reg": head.BBOX_REG_LOSS_WEIGHT},
    )


def _mask_node(cfg: ReadConfig) -> DictConfig:
    head = cfg.MODEL.ROI_MASK_HEAD
    kind = head.choose("NAME", {"MaskRCNNConvUpsampleHead": MaskRCNNConvUpsampleHead})
    return LazyCall(kind)(
        input_shape=_shape_node("mask"),
        num_classes=1 if head.CLS_AGNOSTIC_MASK else "${..num_classes}",
        conv_dims=[head.CONV_DIM] * (head.NUM_CONV + 1),  # the last is the deconvolution
        conv_norm=head.NORM,
        vis_period="${...vis_period}",
    )


def _keypoint_node(cfg: ReadConfig) -> DictConfig:
    head, heads = cfg.MODEL.ROI_KEYPOINT_HEAD, cfg.MODEL.ROI_HEADS
    after_convs, block = cfg.MODEL.NONLOCAL.KEYPOINT_AFTER_CONVS, block_node(cfg)
    rois = heads.BATCH_SIZE_PER_IMAGE * heads.POSITIVE_FRACTION
    by_visible = head.NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS
    kind = head.choose("NAME", _KEYPOINT_HEADS)
    node = LazyCall(kind)(
        input_shape=_shape_node("keypoint"),
        num_keypoints=head.NUM_KEYPOINTS,
        conv_dims=head.CONV_DIMS,
        loss_weight=head.LOSS_WEIGHT,
        loss_normalizer="visible" if by_visible else head.NUM_KEYPOINTS * rois,
    )
    if kind is NonLocalKRCNNConvDeconvUpsampleHead:
        node.after_convs = after_convs
        node.block = block
    return node
