"""One pass of a whole detector with fixed numbers of boxes: its cost then depends on no data."""

from dataclasses import dataclass

import torch
from detectron2.config import CfgNode
from detectron2.modeling import GeneralizedRCNN, StandardROIHeads, build_model
from detectron2.modeling.poolers import ROIPooler
from torch import Tensor

from .counting import ModulePath


@dataclass(frozen=True)
class Setting:
    """What a detector is run on.

    Args:
        height, width: of the padded image, in pixels.
        proposals: boxes an image that the box head sees.
        detections: boxes an image that the mask and keypoint heads see.
    """

    height: int
    width: int
    proposals: int
    detections: int


def inference_setting(
    cfg: CfgNode,
    size: tuple[int, int] | None = None,
    proposals: int | None = None,
    detections: int | None = None,
) -> Setting:
    """The setting of an inference, as the config has it where an argument is None.

    Args:
        cfg: of the detector.
        size: (height, width) in pixels, rounded up to what the FPN needs; the config's is its
            largest test image in landscape, 800x1344 for COCO.
        proposals: the config's ``MODEL.RPN.POST_NMS_TOPK_TEST``.
        detections: the config's ``TEST.DETECTIONS_PER_IMAGE``.

    Raises:
        ValueError: a size or number below 1.
    """
    size = (cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST) if size is None else size
    proposals = cfg.MODEL.RPN.POST_NMS_TOPK_TEST if proposals is None else proposals
    detections = cfg.TEST.DETECTIONS_PER_IMAGE if detections is None else detections
    for name, value in (("--size", min(size)), ("--proposals", proposals)):
        if value < 1:
            raise ValueError(f"{name} {value}; expected at least 1, as in --size 800 1344")
    if detections < 0:
        raise ValueError(f"--detections {detections}; expected at least 0")
    height, width = (-(-side // 32) * 32 for side in size)  # FPN's coarsest stage has stride 32
    return Setting(height, width, proposals, detections)


def training_setting(model: GeneralizedRCNN, inference: Setting) -> Setting:
    """The same image with the boxes that the heads learn from at most."""
    heads = model.roi_heads
    sampled = heads.batch_size_per_image
    return Setting(
        inference.height, inference.width, sampled, int(sampled * heads.positive_fraction)
    )


def build_empty(cfg: CfgNode) -> GeneralizedRCNN:
    """The detector of a config on the meta device: no memory, no initialisation.

    Raises:
        ValueError: not an R-CNN with the standard heads.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        model = build_model(cfg)
    heads = getattr(model, "roi_heads", None)
    if not isinstance(model, GeneralizedRCNN) or type(heads) is not StandardROIHeads:
        raise ValueError(
            f"MODEL.META_ARCHITECTURE={cfg.MODEL.META_ARCHITECTURE!r} with MODEL.ROI_HEADS.NAME="
            f"{cfg.MODEL.ROI_HEADS.NAME!r}; the analysis knows R-CNNs with StandardROIHeads"
        )
    return model


def run(model: GeneralizedRCNN, setting: Setting, path: ModulePath) -> list[object]:
    """Backbone, RPN head and the heads of the RoIs, on one image; losses and boxes left out.

    What the data decide is replaced by fixed numbers: the proposals, and RoIAlign's output, which
    has its true shape. So the selection of boxes, RoIAlign's sampling and the pasting of masks are
    not in the count; they have no products of matrices.

    Args:
        model: on the device that it is to be run on; training or not.
        setting: the image and the numbers of boxes.
        path: entered by the caller.

    Returns:
        All outputs, to keep them alive.
    """
    device = next(model.parameters()).device
    image = torch.empty(1, 3, setting.height, setting.width, device=device)
    features = model.backbone(image)
    rpn, heads = model.proposal_generator, model.roi_heads
    kept: list[object] = [rpn.rpn_head([features[name] for name in rpn.in_features])]

    def rois(pooler: ROIPooler, names: list[str], count: int) -> Tensor:
        shape = (count, features[names[0]].shape[1], *pooler.output_size)
        return torch.empty(shape, device=device, requires_grad=torch.is_grad_enabled())

    with path.inside("roi_heads.box_head"):
        boxes = rois(heads.box_pooler, heads.box_in_features, setting.proposals)
    kept.append(heads.box_predictor(heads.box_head(boxes)))
    for task in ("mask", "keypoint"):
        if not getattr(heads, f"{task}_on"):
            continue
        pooler, names = getattr(heads, f"{task}_pooler"), getattr(heads, f"{task}_in_features")
        with path.inside(f"roi_heads.{task}_head"):  # its forward would go on to losses
            head = getattr(heads, f"{task}_head")
            kept.append(head.layers(rois(pooler, names, setting.detections)))
    return kept
