"""The steps of a two-stage detector whose result has a length of its own, without a branch on it.

Detectron2's own branch on values and lengths, which a graph cannot keep; its modules do the rest.
"""

from collections.abc import Sequence
from typing import Any

import torch
from detectron2.modeling.poolers import ROIPooler, assign_boxes_to_levels
from detectron2.modeling.proposal_generator import RPN
from detectron2.modeling.roi_heads import FastRCNNOutputLayers
from detectron2.structures import Boxes
from torch import Tensor
from torchvision.ops import nms

Side = Any
"""A size in pixels: an int; a tensor while a graph is recorded."""


def propose(rpn: RPN, features: list[Tensor], size: tuple[Side, Side]) -> Tensor:
    """The proposals of one image, the best first.

    Args:
        rpn: the proposal generator.
        features: its maps (1, C, H_l, W_l), one a level.
        size: (height, width) of the image without its padding.

    Returns:
        Boxes (R, 4) in pixels of the image.
    """
    anchors = rpn.anchor_generator(features)
    logits, deltas = rpn.rpn_head(features)
    boxes, scores = [], []
    for level, anchor in enumerate(anchors):
        score = logits[level].permute(0, 2, 3, 1).flatten()  # (1, A, H, W) -> (H W A)
        _, channels, height, width = deltas[level].shape
        delta = deltas[level].view(channels // 4, 4, height, width)  # (1, A 4, H, W)
        delta = delta.permute(2, 3, 0, 1).reshape(-1, 4)  # (A, 4, H, W) -> (H W A, 4)
        score, best = score.topk(at_most(score.shape[0], rpn.pre_nms_topk[False]))
        box = rpn.box2box_transform.apply_deltas(delta[best], anchor.tensor[best])
        box, score = _real(clip(box, size), score, box, rpn.min_box_size)
        kept = nms(box, score, rpn.nms_thresh)  # levels do not suppress each other
        boxes.append(box[kept])
        scores.append(score[kept])
    every = torch.cat(scores)
    _, best = every.topk(at_most(every.shape[0], rpn.post_nms_topk[False]))
    return torch.cat(boxes)[best]


def _real(box: Tensor, score: Tensor, raw: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """Without boxes that are not finite or have a side of at most ``least`` pixels."""
    sides = box[:, 2:] - box[:, :2]
    real = torch.isfinite(raw).all(1) & torch.isfinite(score) & (sides > least).all(1)
    index = real.nonzero().squeeze(1)
    return box[index], score[index]


def detect(
    predictor: FastRCNNOutputLayers,
    pooled: Tensor,
    proposals: Tensor,
    size: tuple[Side, Side],
    threshold: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """What is in the proposals, the best first.

    Args:
        predictor: the last layers of the box head.
        pooled: what they see of each proposal, (R, C).
        proposals: boxes (R, 4).
        size: (height, width) of the image without its padding.
        threshold: detections score more than this.

    Returns:
        Boxes (D, 4), scores (D) and classes (D) of the detections.
    """
    logits, deltas = predictor(pooled)
    every = predictor.box2box_transform.apply_deltas(deltas, proposals)  # (R, K * 4) or (R, 4)
    scores = logits.softmax(1)
    real = torch.isfinite(every).all(1) & torch.isfinite(scores).all(1)
    found = (scores[:, :-1] > threshold) & real.unsqueeze(1)  # (R, K): the last is background
    row, kind = found.nonzero().unbind(1)
    per_class = every.view(every.shape[0], every.shape[1] // 4, 4)
    which = kind if per_class.shape[1] > 1 else torch.zeros_like(kind)
    box, score = clip(per_class[row, which], size), scores[row, kind]
    # classes do not suppress each other: each has a place of its own
    apart = (kind * (1 + larger(*size))).to(box.dtype).unsqueeze(1)
    kept = nms(box + apart, score, predictor.test_nms_thresh)
    if predictor.test_topk_per_image >= 0:
        kept = kept[: predictor.test_topk_per_image]
    return box[kept], score[kept], kind[kept]


def pool(pooler: ROIPooler, features: Sequence[Tensor], boxes: Tensor) -> Tensor:
    """What each box of one image holds.

    Args:
        pooler: with a pooler a level.
        features: maps (1, C, H_l, W_l).
        boxes: (R, 4) in pixels.

    Returns:
        (R, C, S, S), each from the level of its box's size.
    """
    rois = torch.cat([torch.zeros_like(boxes[:, :1]), boxes], dim=1)  # the first image
    if len(features) == 1:
        return pooler.level_poolers[0](features[0], rois)
    levels = assign_boxes_to_levels(
        [Boxes(boxes)],
        pooler.min_level,
        pooler.max_level,
        pooler.canonical_box_size,
        pooler.canonical_level,
    )
    pooled = features[0].new_zeros(rois.shape[0], features[0].shape[1], *pooler.output_size)
    for n, map_ in enumerate(features):
        index = (levels == n).nonzero().squeeze(1)
        # (R_n, C, S, S) to their places in (R, C, S, S)
        pooled = pooled.index_put((index,), pooler.level_poolers[n](map_, rois[index]))
    return pooled


def clip(boxes: Tensor, size: tuple[Side, Side]) -> Tensor:
    """Boxes (..., 4) cut at the edges of the image."""
    height, width = size
    cut = [
        side.clamp(min=0).minimum(torch.ones_like(side) * most)
        for side, most in zip(boxes.unbind(-1), (width, height, width, height), strict=True)
    ]
    return torch.stack(cut, dim=-1)


def at_most(count: Side, most: int) -> Side:
    """The smaller one, without asking which it is."""
    if isinstance(count, Tensor):
        return count.clamp(max=most)
    return min(count, most)


def larger(a: Side, b: Side) -> Side:
    """The larger one, without asking which it is."""
    return torch.maximum(a, b) if isinstance(a, Tensor) else max(a, b)


@torch.jit.script_if_tracing  # the loop is as long as there are detections
def decode_keypoints(maps: Tensor, boxes: Tensor) -> Tensor:
    """The place of each joint: the largest value of its heat map, made as large as its box.

    The same numbers as Detectron2's ``heatmaps_to_keypoints``, without its score of the logit.

    Args:
        maps: logits (R, K, S, S).
        boxes: (R, 4) in pixels.

    Returns:
        (R, K, 3): x and y in pixels, and the score.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    cells = sides.ceil()
    step = sides / cells  # of one cell in pixels, (R, 2) as x, y
    found = torch.zeros((0, maps.shape[1], 3), dtype=maps.dtype, device=maps.device)
    for i in range(maps.shape[0]):
        across = enlarge(cells[i, 0], maps)  # (w, S)
        down = enlarge(cells[i, 1], maps)  # (h, S)
        # (h, S) @ (K, S, S) @ (S, w) -> (K, h, w)
        full = torch.matmul(torch.matmul(down, maps[i]), across.transpose(0, 1))
        top, at = full.flatten(1).max(1)
        width = cells[i, 0].to(torch.int64)
        y = torch.div(at, width, rounding_mode="floor")
        x = at - y * width
        place = torch.stack([x, y], 1).to(maps.dtype) + 0.5
        place = place * step[i].unsqueeze(0) + boxes[i, :2].unsqueeze(0)
        # comparable between boxes: the sum is over the small map
        score = 1 / (maps[i] - top.unsqueeze(1).unsqueeze(2)).exp().sum([1, 2])
        joint = torch.cat([place, score.unsqueeze(1)], 1).unsqueeze(0)  # (1, K, 3)
        found = torch.cat([found, joint])
    return found


def enlarge(cells: Tensor, maps: Tensor) -> Tensor:
    """Bicubic interpolation of a row of S values to so many cells, as a matrix.

    *Source*: Keys, Cubic convolution interpolation, 1981, with a = -0.75; past the ends the first
    and last values go on.

    Args:
        cells: a number n.
        maps: of side S; for its dtype and device.

    Returns:
        (n, S); each row adds up to 1.
    """
    side, a = maps.shape[-1], -0.75
    target = torch.arange(int(cells), dtype=maps.dtype, device=maps.device)
    source = (target + 0.5) * (side / cells) - 0.5
    taps = torch.arange(-2, side + 2, device=maps.device)
    far = (source.unsqueeze(1) - taps.to(maps.dtype)).abs()  # (n, S + 4)
    near = ((a + 2) * far - (a + 3)) * far * far + 1
    next_ = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    weights = torch.where(far <= 1, near, torch.where(far < 2, next_, torch.zeros_like(far)))
    columns = torch.arange(side, device=maps.device)
    fold = taps.clamp(0, side - 1).unsqueeze(1) == columns  # (S + 4, S)
    return torch.matmul(weights, fold.to(maps.dtype))
