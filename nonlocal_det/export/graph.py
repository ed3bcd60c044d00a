"""A detector's inference as one graph: an image in, tensors out, at any size of the image."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.poolers import ROIPooler
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.modeling.proposal_generator import RPN
from detectron2.modeling.roi_heads import FastRCNNOutputLayers, StandardROIHeads
from detectron2.structures import Boxes, Instances
from torch import Tensor, nn

from nonlocal_det.checkpoint import Names
from nonlocal_det.detection import NonLocalGeneralizedRCNN
from nonlocal_det.layers import NonLocal, Padding, set_padding

from .check import Comparison, Runner, compare, eager_outputs
from .steps import Side, decode_keypoints, detect, pool, propose


class DetectionGraph(nn.Module):
    """What a Mask or Keypoint R-CNN does to one image, with nothing but tensors.

    The model's own modules compute; what decides between them has no branch on a value.

    Args:
        model: in evaluation mode; not changed.
        names: of its classes and keypoints by their indices, for the file.

    Shape:
        image (3, H, W) float32, 0 to 255, in the order of channels of ``INPUT.FORMAT``; threshold
        (): detections score more. Gives boxes (R, 4) as x0, y0, x1, y1 in the image's pixels, the
        best first; scores (R); classes (R) int64; masks (R, 28, 28), the probability within the
        box; keypoints (R, K, 3) as x, y, score. `outputs` names those that the model has.

    Raises:
        ValueError: another kind of model.
    """

    inputs = ("image", "threshold")
    eager = staticmethod(eager_outputs)

    def __init__(self, model: nn.Module, names: Names | None = None) -> None:
        super().__init__()
        check_model(model)
        self.model = model
        self.names = names or {}

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what `forward` gives, in order."""
        model: Any = self.model
        heads = model.roi_heads
        more = ("masks",) * heads.mask_on + ("keypoints",) * heads.keypoint_on
        return ("boxes", "scores", "classes", *more)

    @property
    def axes(self) -> dict[str, dict[int, str]]:
        """The sides that are not the example's, by input and output."""
        return {"image": {1: "height", 2: "width"}, **{name: {0: "found"} for name in self.outputs}}

    def example(self, image: Tensor, threshold: float = 0.0) -> tuple[Tensor, ...]:
        """Return what `forward` takes."""
        return image, torch.tensor(threshold, dtype=torch.float32, device=image.device)

    def compare(self, run: Runner, images: Sequence[Tensor], threshold: float) -> Comparison:
        """Run the model and its file on the same images; see `check.compare`."""
        return compare(self.model, run, images, threshold)

    def forward(self, image: Tensor, threshold: Tensor) -> tuple[Tensor, ...]:
        """Detect in one image."""
        model: Any = self.model
        heads = model.roi_heads
        size = image.shape[-2], image.shape[-1]
        maps = self._features(image, size)
        rpn = model.proposal_generator
        proposals = propose(rpn, [maps[name] for name in rpn.in_features], size)
        seen = [maps[name] for name in heads.box_in_features]
        pooled = heads.box_head(pool(heads.box_pooler, seen, proposals))
        boxes, scores, classes = detect(heads.box_predictor, pooled, proposals, size, threshold)
        found = [boxes, scores, classes]
        if heads.mask_on:
            seen = [maps[name] for name in heads.mask_in_features]
            found.append(_masks(_per_box(heads.mask_head, heads.mask_pooler, seen, boxes), classes))
        if heads.keypoint_on:
            seen = [maps[name] for name in heads.keypoint_in_features]
            heat = _per_box(heads.keypoint_head, heads.keypoint_pooler, seen, boxes)
            found.append(decode_keypoints(heat, boxes))
        return tuple(found)

    def _features(self, image: Tensor, size: tuple[Side, Side]) -> dict[str, Tensor]:
        """The backbone's maps of the normalized and padded image."""
        model: Any = self.model
        x = (image - model.pixel_mean) / model.pixel_std
        unit = max(model.backbone.size_divisibility, 1)
        height, width = ((side + unit - 1) // unit * unit for side in size)
        x = F.pad(x, [0, width - size[1], 0, height - size[0]]).unsqueeze(0)  # (1, 3, H, W)
        # the blocks of another meta-architecture look at the padding too
        blind = isinstance(model, NonLocalGeneralizedRCNN)
        with _told(model.backbone, GraphPadding([size], (height, width)) if blind else None):
            maps: dict[str, Tensor] = model.backbone(x)
            return maps


class GraphPadding(Padding):
    """The padding of one image whose size only the running graph knows."""

    def __post_init__(self) -> None:
        """Keep no tensor of numbers that the recording would turn into constants."""

    def mask(self, x: Tensor) -> Tensor:
        """Which positions of a map x (1, C, H, W) see any real pixel: bool (1, 1, H, W)."""
        real = []
        for cells, size, padded in zip(x.shape[2:], self.sizes[0], self.padded, strict=True):
            first = torch.arange(cells, device=x.device) * (padded // cells)  # pixel of each cell
            real.append(first < size)
        return (real[0].unsqueeze(1) & real[1]).unsqueeze(0).unsqueeze(0)


@contextmanager
def _told(backbone: nn.Module, padding: Padding | None) -> Iterator[None]:
    set_padding(backbone, padding)
    try:
        yield
    finally:
        set_padding(backbone, None)


def _per_box(head: Any, pooler: ROIPooler, maps: list[Tensor], boxes: Tensor) -> Tensor:
    """What a head's layers give for each box: (R, K, S, S), R being 0 or more."""
    # One box more: onnxruntime cannot reshape the empty batch of an image with no detection.
    some = torch.cat([boxes, boxes.new_ones(1, 4)])
    every: Tensor = head.layers(pool(pooler, maps, some))
    return every[:-1]


def _masks(logits: Tensor, classes: Tensor) -> Tensor:
    """The masks (R, S, S) of the boxes' own classes; logits are (R, 1, S, S) where they share."""
    which = classes if logits.shape[1] > 1 else torch.zeros_like(classes)
    rows = torch.arange(logits.shape[0], device=logits.device)
    return logits[rows, which].sigmoid()  # (R, S, S)


@contextmanager
def portable_kernels(model: nn.Module) -> Iterator[None]:
    """Every non-local block by plain products: other kernels sort, or choose by the size of a map.

    A kernel is how, never what: the numbers are the same.
    """
    blocks = [module for module in model.modules() if isinstance(module, NonLocal)]
    kernels = [block.kernel for block in blocks]
    for block in blocks:
        block.kernel = "factored" if block.pairwise == "dot_product" else "dense"
    try:
        yield
    finally:
        for block, kernel in zip(blocks, kernels, strict=True):
            block.kernel = kernel


def check_model(model: nn.Module) -> None:
    """Refuse what is not one of this project's kinds of detector.

    Raises:
        ValueError: says which part is of another kind.
    """
    heads = getattr(model, "roi_heads", None)
    parts = {
        "META_ARCHITECTURE": (model, GeneralizedRCNN),
        "PROPOSAL_GENERATOR.NAME": (getattr(model, "proposal_generator", None), RPN),
        "ROI_HEADS.NAME": (heads, StandardROIHeads),
    }
    for key, (part, kind) in parts.items():
        if not isinstance(part, kind):
            raise ValueError(
                f"MODEL.{key} is a {type(part).__name__}, which the export does not know; it takes "
                f"a {kind.__name__}: Mask and Keypoint R-CNN"
            )
    assert isinstance(heads, StandardROIHeads)
    predictor = heads.box_predictor
    if type(predictor) is not FastRCNNOutputLayers or getattr(predictor, "use_sigmoid_ce", False):
        raise ValueError(
            f"the box head's {type(predictor).__name__} scores in another way than by a softmax, "
            "which the export does not know; use Detectron2's FastRCNNOutputLayers"
        )


def to_instances(
    outputs: Mapping[str, Tensor], seen: tuple[int, int], height: int, width: int
) -> Instances:
    """Make Detectron2's Instances: boxes scaled to the picture, masks pasted into it.

    Args:
        outputs: of an exported file; see `DetectionGraph`.
        seen: (height, width) of the image that the file was given.
        height: of the picture that this image was made of.
        width: likewise.

    Returns:
        ``pred_boxes``, ``scores``, ``pred_classes``, and where the file has them ``pred_masks``
        (R, height, width) bool and ``pred_keypoints`` (R, K, 3), on the CPU.
    """
    found = Instances(
        seen,
        pred_boxes=Boxes(outputs["boxes"].cpu()),
        scores=outputs["scores"].cpu(),
        pred_classes=outputs["classes"].cpu(),
    )
    if "masks" in outputs:
        found.pred_masks = outputs["masks"].cpu().unsqueeze(1)  # (R, S, S) -> (R, 1, S, S)
    if "keypoints" in outputs:
        found.pred_keypoints = outputs["keypoints"].cpu()
    return detector_postprocess(found, height, width)
