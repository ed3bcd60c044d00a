"""What a built object was told: all its plain attributes, to compare two that should be equal."""

import copy
from functools import cache
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.structures import Boxes, Instances, Keypoints, PolygonMasks
from omegaconf import DictConfig, OmegaConf
from torch import nn

from nonlocal_det import model_zoo

_TORCHS = set(vars(nn.Module()))


def told(thing: Any) -> Any:
    """Numbers, words and lists as they are; objects as their class and what they were told."""
    if OmegaConf.is_config(thing):
        thing = OmegaConf.to_container(thing, resolve=True)
    if isinstance(thing, np.ndarray):
        thing = thing.tolist()
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, list | tuple):
        return [told(one) for one in thing]
    if isinstance(thing, dict):
        return {key: told(value) for key, value in thing.items()}
    kind = type(thing).__name__
    if isinstance(thing, nn.Module | torch.Tensor) or not hasattr(thing, "__dict__"):
        return kind
    return [kind, {key: told(value) for key, value in vars(thing).items()}]


def settings(model: nn.Module) -> dict[str, Any]:
    """What every module of a model was told, by name."""
    return {
        name: [
            type(module).__name__,
            {key: told(value) for key, value in vars(module).items() if key not in _TORCHS},
        ]
        for name, module in model.named_modules()
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The modules that were told otherwise: a whole model would be no readable message."""
    return {
        name: (one.get(name), other.get(name))
        for name in one.keys() | other.keys()
        if one.get(name) != other.get(name)
    }


@cache
def _configs(name: str) -> tuple[DictConfig, CfgNode]:
    return model_zoo.get_lazy_config(name), model_zoo.get_config(name)


def both(name: str) -> tuple[DictConfig, CfgNode]:
    """A config's lazy twin and itself, on the CPU."""
    lazy, cfg = copy.deepcopy(_configs(name))
    cfg.MODEL.DEVICE = lazy.train.device = "cpu"
    return lazy, cfg


def make_batch(cfg: CfgNode) -> list[dict[str, Any]]:
    """Two images with two objects each, with all that a config's model asks for."""
    made = []
    size = (64, 96)
    generator = torch.Generator().manual_seed(2)
    for number in range(2):
        boxes = torch.tensor([[4.0, 6, 44, 58], [50, 10, 90, 60 - number]])
        instances = Instances(size, gt_boxes=Boxes(boxes), gt_classes=torch.zeros(2).long())
        if cfg.MODEL.MASK_ON:
            corners = [box[[0, 1, 2, 1, 2, 3, 0, 3]].double().numpy() for box in boxes]
            instances.gt_masks = PolygonMasks([[polygon] for polygon in corners])
        if cfg.MODEL.KEYPOINT_ON:
            count = cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS
            points = torch.full((2, count, 3), 2.0)
            middle = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
            points[..., :2] = middle + torch.arange(count)[:, None]
            instances.gt_keypoints = Keypoints(points)
        image = torch.randint(0, 255, (3, *size), dtype=torch.uint8, generator=generator)
        made.append({"image": image, "instances": instances})
    return made
