"""A config and its lazy twin: what both build, compared attribute by attribute."""

import copy
from functools import cache
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode, instantiate
from detectron2.data import DatasetMapper
from detectron2.modeling import build_model
from detectron2.solver import LRMultiplier, build_lr_scheduler, build_optimizer
from detectron2.structures import Boxes, Instances, Keypoints, PolygonMasks
from omegaconf import DictConfig, OmegaConf
from torch import nn

from nonlocal_det import model_zoo
from nonlocal_det.training.lazy.settings import PATHS, read_settings

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


def lazy_model(lazy: DictConfig, device: str = "cpu") -> nn.Module:
    with torch.device(device):
        return instantiate(lazy.model)


def yaml_model(cfg: CfgNode, device: str = "cpu") -> nn.Module:
    cfg.MODEL.DEVICE = device
    with torch.device(device):
        return build_model(cfg)


def check_same_model(lazy: DictConfig, cfg: CfgNode) -> dict[str, Any]:
    ours, theirs = lazy_model(lazy, "meta"), yaml_model(cfg, "meta")
    shapes = [{n: v.shape for n, v in m.state_dict().items()} for m in (ours, theirs)]
    assert list(shapes[0]) == list(shapes[1])
    assert shapes[0] == shapes[1]
    learning = [[n for n, p in m.named_parameters() if p.requires_grad] for m in (ours, theirs)]
    assert learning[0] == learning[1]
    assert differences(settings(ours), settings(theirs)) == {}
    return settings(ours)


def check_same_solver(lazy: DictConfig, cfg: CfgNode) -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    lazy.optimizer.params.model = layer
    ours, theirs = instantiate(lazy.optimizer), build_optimizer(cfg, layer)
    keys = ("lr", "momentum", "weight_decay", "nesterov", "foreach")
    groups = [
        [(id(p), *(g[key] for key in keys)) for g in one.param_groups for p in g["params"]]
        for one in (ours, theirs)
    ]
    assert groups[0] == groups[1]
    for size in (0.01, 100.0):  # below and above any clipping
        assert torch.equal(change(layer, ours, size), change(layer, theirs, size))
    most = cfg.SOLVER.MAX_ITER
    ours = LRMultiplier(ours, instantiate(lazy.lr_multiplier), most)
    theirs = build_lr_scheduler(cfg, theirs)
    for step in (0, 10, cfg.SOLVER.WARMUP_ITERS, *cfg.SOLVER.STEPS, most):
        for iteration in (step - 1, step):
            if 0 <= iteration < most:
                ours.last_epoch = theirs.last_epoch = iteration
                assert ours.get_lr() == theirs.get_lr()


def change(layer, optimizer, size):
    """Of the weights, by a first step with such gradients."""
    before = [parameter.detach().clone() for parameter in layer.parameters()]
    for parameter in layer.parameters():
        parameter.grad = torch.linspace(-size, size, parameter.numel()).view_as(parameter)
    optimizer.step()
    optimizer.state.clear()
    for parameter, old in zip(layer.parameters(), before, strict=True):
        parameter.data, old.data = old.data, (parameter.detach() - old)
    return torch.cat([old.flatten() for old in before])


def check_same_data(lazy: DictConfig, cfg: CfgNode) -> None:
    train, test = lazy.dataloader.train, lazy.dataloader.test
    assert told(instantiate(train.mapper)) == told(DatasetMapper(cfg, is_train=True))
    ours, theirs = instantiate(test.mapper), DatasetMapper(cfg, is_train=False)
    assert told(ours.augmentations) == told(theirs.augmentations)
    assert (ours.is_train, ours.image_format) == (False, theirs.image_format)
    fewest = cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE
    assert train.dataset.min_keypoints == (fewest if cfg.MODEL.KEYPOINT_ON else 0)
    assert train.dataset.filter_empty == cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS
    assert test.dataset.filter_empty is False
    assert train.repeat_threshold == cfg.DATALOADER.REPEAT_THRESHOLD
    assert test.num_workers == cfg.DATALOADER.NUM_WORKERS
    assert lazy.dataloader.evaluator.dataset_name == test.dataset.names
    assert lazy.dataloader.evaluator.output_dir == f"{cfg.OUTPUT_DIR}/inference"


def check_same_settings(lazy: DictConfig, cfg: CfgNode) -> None:
    found = read_settings(lazy)
    for key in PATHS:
        ours, theirs = found, cfg
        for word in key.split("."):
            ours, theirs = ours[word], theirs[word]
        head = key.startswith("MODEL.ROI_KEYPOINT_HEAD") and not cfg.MODEL.KEYPOINT_ON
        assert head or ours == theirs, key
