"""How far a detection sees: the cells that its region reads, and through each the backbone's field.

That is farther than one position sees, so a distance "beyond the receptive field" means this one.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.poolers import ROIPooler
from detectron2.modeling.roi_heads import BaseKeypointRCNNHead, StandardROIHeads
from detectron2.structures import Boxes
from torch import Tensor

from .receptive_field import ReceptiveField, one_channel, receptive_fields


@dataclass(frozen=True)
class Reach:
    """The farthest pixel that a prediction can depend on, horizontally or vertically.

    Attributes:
        box: of a region's category and box, in pixels from the middle of the region.
        keypoint: of the heat map at a point, in pixels from that point; None without such a head.
    """

    box: float
    keypoint: float | None


def detection_reach(model: GeneralizedRCNN, width: float, height: float) -> Reach:
    """Measure the theoretical reach of a detection in a region of this size.

    As in `receptive_fields` the weights are positive; one column of cells after the other is lit,
    and where the pooler's and the keypoint head's outputs are above 0, they read it.

    Args:
        model: a region-based detector of Detectron2, on any device, the meta device too; not
            changed. Inserted blocks are left out: they see the whole map, or the whole region.
        width: of the region (the object's box or a larger proposal), in pixels of the network's
            input.
        height: of the region.

    Returns:
        The largest over all positions of the region at whole pixels, and over all points in it.

    Raises:
        ValueError: the model has no StandardROIHeads, the region is empty, or as
            `receptive_fields`.
    """
    heads = getattr(model, "roi_heads", None)
    if not isinstance(heads, StandardROIHeads):
        raise ValueError(
            f"roi_heads are {type(heads).__name__}; the reach of a detection is measured for "
            "StandardROIHeads, whose heads read pooled regions (MODEL.ROI_HEADS.NAME)"
        )
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise ValueError(f"a region of {width} x {height} pixels; expected sides above 0")
    fields = receptive_fields(model.backbone)
    sides = ((float(width), float(height)), (float(height), float(width)))
    levels = [fields[name] for name in heads.box_in_features]
    box = max(_box_reach(heads.box_pooler, levels, *side) for side in sides)
    if not heads.keypoint_on:
        return Reach(box, None)
    levels = [fields[name] for name in heads.keypoint_in_features]
    sees = _bins_seen(heads.keypoint_head, heads.keypoint_pooler.output_size[0])
    keypoint = max(_place_reach(heads.keypoint_pooler, levels, sees, *side) for side in sides)
    return Reach(box, keypoint)


def _box_reach(
    pooler: ROIPooler, levels: Sequence[ReceptiveField], side: float, other: float
) -> float:
    """From the middle of a region with ``side`` along the axis; every bin is read."""
    return max(
        max(side / 2 - float(first.min()), float(last.max()) - side / 2)
        for first, last in _pixels_of_bins(pooler, levels, side, other)
    )


def _place_reach(
    pooler: ROIPooler, levels: Sequence[ReceptiveField], sees: Tensor, side: float, other: float
) -> float:
    """From a place of the heat map whose columns q read the bins b where sees[b, q]."""
    places = (torch.arange(sees.shape[1]) + 0.5) * side / sees.shape[1]
    farthest = 0.0
    for first, last in _pixels_of_bins(pooler, levels, side, other):
        left = first[:, None].where(sees, torch.tensor(torch.inf)).amin(0)  # (S, 4S) -> (4S)
        right = last[:, None].where(sees, torch.tensor(-torch.inf)).amax(0)
        farthest = max(farthest, float((places - left).max()), float((right - places).max()))
    return farthest


def _pixels_of_bins(
    pooler: ROIPooler, levels: Sequence[ReceptiveField], side: float, other: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """Middles of the first and the last pixel that each column of bins sees: (S,) and (S,).

    Counted from the region's left edge; for every place of the region in the coarsest cell.
    """
    period = max(field.stride for field in levels)
    for phase in range(period):
        field, cells = _cells_read(pooler, levels, 2.0 * period + phase, side, other)
        half = (field.size - 1) / 2
        at = torch.arange(len(cells))[:, None] * field.stride - (2.0 * period + phase) + 0.5
        first = (at - half + field.offset).where(cells, torch.tensor(torch.inf)).amin(0)
        last = (at + half + field.offset).where(cells, torch.tensor(-torch.inf)).amax(0)
        yield first, last


def _cells_read(
    pooler: ROIPooler, levels: Sequence[ReceptiveField], left: float, side: float, other: float
) -> tuple[ReceptiveField, Tensor]:
    """The level that a region is pooled from, and which bins read which columns of it: (W, S)."""
    period = max(field.stride for field in levels)
    columns, rows = int(left + side) // period + 3, int(other) // period + 1
    region = Boxes(torch.tensor([[left, 0.0, left + side, other]]))
    maps = [(rows * period // f.stride, columns * period // f.stride) for f in levels]
    for k, (height, width) in enumerate(maps):
        lit = torch.eye(width)[:, None, None, :].expand(-1, 1, height, -1)  # (W, 1, H, W)
        dark = [torch.zeros(width, 1, *size) for size in maps]
        pooled = pooler([*dark[:k], lit, *dark[k + 1 :]], [region] * width)  # (W, 1, S, S)
        if pooled.any():
            return levels[k], (pooled > 0).any(dim=2)[:, 0]
    raise AssertionError("a region inside of the maps is pooled from none of them")


def _bins_seen(head: BaseKeypointRCNNHead, size: int) -> Tensor:
    """Which columns of bins each column of a keypoint head's heat maps sees: (S, 4S)."""
    lit = torch.eye(size, dtype=torch.float64)[:, None, None, :].expand(-1, 1, size, -1)
    heat: Tensor = one_channel(head).layers(lit)  # (S, 1, 4S, 4S)
    return (heat > 0).any(dim=2)[:, 0]
