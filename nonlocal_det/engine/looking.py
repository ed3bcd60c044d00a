"""Run a trained model on one image and ask a block where one place of it looks."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.engine import DefaultPredictor
from torch import Tensor

from nonlocal_det.checkpoint import load_weights
from nonlocal_det.layers import InsertedBlock, PerPositionBlock, known_padding
from nonlocal_det.modeling import nonlocal_blocks
from nonlocal_det.visualization import record_inputs


@dataclass(frozen=True)
class Attention:
    """Where one place looks.

    Attributes:
        weights: of the key positions, on the CPU: (Hk, Wk).
        extent: what they cover: x0, y0, x1, y1 in pixels of ``image``, perhaps beyond it.
        image: RGB pixels as the network saw them, without padding: (H, W, 3).
        point: the place (x, y) in its pixels.
    """

    weights: Tensor
    extent: tuple[float, float, float, float]
    image: np.ndarray
    point: tuple[float, float]


def build_predictor(cfg: CfgNode, checkpoint: Path) -> DefaultPredictor:
    """Detectron2's predictor, with weights that are loaded as data.

    Args:
        cfg: of the model; not changed.
        checkpoint: as ``model_final.pth``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: see `load_weights`.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = ""  # Detectron2's predictor would unpickle them
    predictor = DefaultPredictor(cfg)
    load_weights(predictor.model, checkpoint)
    return predictor


def find_attention(
    predictor: DefaultPredictor, image: np.ndarray, point: tuple[float, float], name: str
) -> Attention:
    """Ask the block ``name`` where a place of the image looks.

    A block of the backbone looks over the image. One of the keypoint head looks over the region of
    the best-scored detection; a place outside of it is moved to its border. The control's
    per-position block looks at the place itself.

    Args:
        predictor: of `build_predictor`.
        image: BGR pixels (H, W, 3).
        point: x, y in pixels of ``image``.
        name: of one of `nonlocal_blocks`, in the backbone's ResNet or in the keypoint head.

    Raises:
        ValueError: a block of the keypoint head, and nothing was detected.
    """
    with record_inputs(predictor.model) as inputs:
        found = predictor(image)["instances"]
    block, x = nonlocal_blocks(predictor.model)[name], inputs[name]
    seen = predictor.aug.get_transform(image).apply_image(image)[:, :, ::-1]
    factor = seen.shape[0] / image.shape[0]
    at = (point[0] * factor, point[1] * factor)
    if "bottom_up" in name:
        stage = name.split(".")[-2]  # backbone.bottom_up.res4.nl0
        stride = predictor.model.backbone.bottom_up.output_shape()[stage].stride
        height, width = (x.shape[2] * stride, x.shape[3] * stride)
        # The convolutions are odd and padded alike on both sides, so that position i is in the
        # middle of what it sees at pixel i * stride (see `analysis.receptive_fields`).
        first = 0.5 - stride / 2
        with known_padding(block, [seen.shape[:2]], (height, width)):
            weights, extent = _ask(block, x, at, (first, first, first + width, first + height))
    else:
        if not len(found):
            raise ValueError(f"nothing was detected, so block {name} has seen no region")
        region = (found.pred_boxes.tensor[0] * factor).tolist()
        weights, extent = _ask(block, x[:1], at, region)
    return Attention(weights, extent, np.ascontiguousarray(seen), at)


@torch.no_grad()
def _ask(
    block: InsertedBlock,
    x: Tensor,
    point: tuple[float, float],
    region: tuple[float, float, float, float],
) -> tuple[Tensor, tuple[float, float, float, float]]:
    """The weights (Hk, Wk) of a map x (1, C, H, W) that covers a region, and what they cover."""
    x0, y0, x1, y1 = region
    height, width = x.shape[2:]
    cell = ((x1 - x0) / width, (y1 - y0) / height)
    column = min(max(int((point[0] - x0) / cell[0]), 0), width - 1)
    row = min(max(int((point[1] - y0) / cell[1]), 0), height - 1)
    if isinstance(block, PerPositionBlock):
        weights = torch.zeros(height, width)
        weights[row, column] = 1
        return weights, region
    weights = block.attention(x, (row, column))[0].cpu()
    # a key position is 1 or 2 cells wide; the last one of an odd map reaches beyond it
    keys = [-(-size // count) for size, count in zip((height, width), weights.shape, strict=True)]
    end = (
        x0 + weights.shape[1] * keys[1] * cell[0],
        y0 + weights.shape[0] * keys[0] * cell[1],
    )
    return weights, (x0, y0, *end)
