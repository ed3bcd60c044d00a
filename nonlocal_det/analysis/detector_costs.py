"""What a detector costs, part by part: parameters, multiply-adds and activation memory.

It is run with fixed numbers of boxes, so that its cost depends on no data.
"""

from dataclasses import dataclass, replace

import torch
from detectron2.config import CfgNode
from detectron2.modeling import GeneralizedRCNN, StandardROIHeads
from torch import Tensor

from nonlocal_det.layers import nonlocal_blocks

from .module_costs import ModelCosts, build_on_meta, by_part, module_costs
from .operation_counts import ModulePath


@dataclass(frozen=True)
class Setting:
    """What a detector is run on.

    Args:
        height, width: of the padded image, in pixels.
        proposals: boxes of an image that the box head reads.
        detections: boxes of an image that the mask and keypoint heads read.
    """

    height: int
    width: int
    proposals: int
    detections: int

    def __str__(self) -> str:
        """As a table has it."""
        return f"{self.height}x{self.width}"


def detector_costs(
    cfg: CfgNode,
    name: str = "",
    *,
    size: tuple[int, int] | None = None,
    proposals: int | None = None,
    detections: int | None = None,
    device: str = "cpu",
    memory: bool = True,
) -> ModelCosts:
    """Count the costs of the detector that a config describes, without weights, data or a GPU.

    Args:
        cfg: of an R-CNN with the standard heads.
        name: for the report.
        size: (height, width) in pixels, rounded up to what the FPN needs; None: the config's
            largest test image in landscape, 800x1344 for COCO.
        proposals: None: the config's ``MODEL.RPN.POST_NMS_TOPK_TEST``.
        detections: None: the config's ``TEST.DETECTIONS_PER_IMAGE``.
        device: ``"cpu"`` or ``"cuda"``: ``KERNEL: auto`` is counted as it chooses there.
        memory: count what a training step saves too; else ``saved_bytes`` is 0.

    Raises:
        ValueError: a size or number is below 1, the device is unknown, or the detector is not an
            R-CNN with the standard heads.
    """
    inference = _inference_setting(cfg, size, proposals, detections)
    model = _build(cfg)
    blocks, heads = tuple(nonlocal_blocks(model)), model.roi_heads
    sampled = heads.batch_size_per_image
    of_objects = int(sampled * heads.positive_fraction)
    training = replace(inference, proposals=sampled, detections=of_objects)
    costs, unknown = module_costs(
        model,
        lambda path: _run(model, inference, path),
        (lambda path: _run(model, training, path)) if memory else None,
        device,
    )
    return ModelCosts(name, device, inference, training, *by_part(costs, blocks), unknown)


def _inference_setting(
    cfg: CfgNode, size: tuple[int, int] | None, proposals: int | None, detections: int | None
) -> Setting:
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


def _build(cfg: CfgNode) -> GeneralizedRCNN:
    model = build_on_meta(cfg)
    heads = getattr(model, "roi_heads", None)
    if not isinstance(model, GeneralizedRCNN) or type(heads) is not StandardROIHeads:
        raise ValueError(
            f"MODEL.META_ARCHITECTURE={cfg.MODEL.META_ARCHITECTURE!r} with MODEL.ROI_HEADS.NAME="
            f"{cfg.MODEL.ROI_HEADS.NAME!r}; the analysis supports R-CNNs with StandardROIHeads"
        )
    return model


def _run(model: GeneralizedRCNN, setting: Setting, path: ModulePath) -> list[object]:
    """Run backbone, RPN head and the heads of the RoIs on one image, without losses.

    What the data decide is replaced by fixed numbers: the proposals, and RoIAlign's output, which
    has its true shape. So the selection of boxes, RoIAlign's sampling and the pasting of masks are
    not in the count; they have no products of matrices.

    Returns:
        All outputs, to keep them in memory.
    """
    device = next(model.parameters()).device
    image = torch.empty(1, 3, setting.height, setting.width, device=device)
    features = model.backbone(image)
    rpn, heads = model.proposal_generator, model.roi_heads
    outputs: list[object] = [rpn.rpn_head([features[name] for name in rpn.in_features])]

    def rois(task: str, count: int) -> Tensor:
        channels = features[getattr(heads, f"{task}_in_features")[0]].shape[1]
        shape = (count, channels, *getattr(heads, f"{task}_pooler").output_size)
        return torch.empty(shape, device=device, requires_grad=torch.is_grad_enabled())

    with path.inside("roi_heads.box_head"):
        boxes = rois("box", setting.proposals)
    outputs.append(heads.box_predictor(heads.box_head(boxes)))
    for task in ("mask", "keypoint"):
        if getattr(heads, f"{task}_on"):
            with path.inside(f"roi_heads.{task}_head"):  # its forward would go on to losses
                head = getattr(heads, f"{task}_head")
                outputs.append(head.layers(rois(task, setting.detections)))
    return outputs
