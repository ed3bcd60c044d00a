"""Which layers of Detectron2's heads have a channel for each class or keypoint."""

from detectron2.modeling.meta_arch.retinanet import RetinaNetHead
from detectron2.modeling.roi_heads import FastRCNNOutputLayers
from detectron2.modeling.roi_heads.keypoint_head import KRCNNConvDeconvUpsampleHead
from detectron2.modeling.roi_heads.mask_head import MaskRCNNConvUpsampleHead

from nonlocal_det.named_outputs import NamedOutput, register_named_outputs

CLASSES, KEYPOINTS = "thing_classes", "keypoint_names"


def register_heads() -> None:
    """Register the heads of R-CNN and RetinaNet."""
    register_named_outputs(
        FastRCNNOutputLayers,
        NamedOutput("cls_score", CLASSES),  # the background is last
        # 4 numbers of a box, or 5 of a rotated one
        NamedOutput("bbox_pred", CLASSES, each=lambda head: len(head.box2box_transform.weights)),
    )
    register_named_outputs(MaskRCNNConvUpsampleHead, NamedOutput("predictor", CLASSES))
    register_named_outputs(KRCNNConvDeconvUpsampleHead, NamedOutput("score_lowres", KEYPOINTS))
    register_named_outputs(
        RetinaNetHead,
        # the classes of each anchor in turn
        NamedOutput("cls_score", CLASSES, repeat=lambda head: head.bbox_pred.out_channels // 4),
    )
