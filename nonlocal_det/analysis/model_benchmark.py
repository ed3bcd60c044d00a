"""Seconds and peak memory of a whole detector, per training iteration and per image.

Weights and pixels are drawn, so no data is needed: the image has a fixed size and fixed objects,
and every detection is kept, so that twins do equal work.
"""

import time
from dataclasses import asdict, dataclass
from statistics import median

import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import build_model
from detectron2.modeling.backbone.resnet import CNNBlockBase
from detectron2.solver import build_optimizer
from detectron2.structures import BitMasks, Boxes, Instances, Keypoints
from detectron2.utils.events import EventStorage
from torch import nn

from nonlocal_det.detection.config import add_nonlocal_config

from .apart import PeakMemory, answer, give_memory_back, run_apart, wait_for
from .benchmark import Result, medians

OBJECTS = 10
"""Ground-truth objects in the training image."""


@dataclass(frozen=True)
class ModelCase:
    """One detector to measure.

    Args:
        config: a full config as text, from ``cfg.dump()``.
        training: measure a training iteration (forward, backward, optimizer), else an inference.
        height, width: of the image in pixels.
        threads: of torch.
    """

    config: str
    training: bool
    height: int = 800
    width: int = 1344
    threads: int = 2


def measure(case: ModelCase, repeats: int = 5) -> Result:
    """Measure in this process: the memory of a first pass, then the median time of the next."""
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    cfg = _config(case)
    model = build_model(cfg)
    _calm(model)
    optimizer = build_optimizer(cfg, model)
    inputs = [_image(cfg, case)]
    device = torch.device(cfg.MODEL.DEVICE)
    seconds, mebibytes = [], 0.0
    give_memory_back(at_once=True)
    for index in range(1 + repeats):
        memory = PeakMemory(device)
        start = time.perf_counter()
        if case.training:
            _train(model, optimizer, inputs)
        else:
            with torch.no_grad():
                model.eval()(inputs)
        wait_for(device)
        if index:
            seconds.append(time.perf_counter() - start)
        else:
            mebibytes = memory.mebibytes()
            give_memory_back(at_once=False)
    return Result(median(seconds), mebibytes)


def _config(case: ModelCase) -> CfgNode:
    cfg = get_cfg()
    add_nonlocal_config(cfg)
    cfg.merge_from_other_cfg(CfgNode.load_cfg(case.config))
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0  # all DETECTIONS_PER_IMAGE boxes are kept
    cfg.SOLVER.BASE_LR = 0.0  # the weights stay as they are
    return cfg


def _calm(model: nn.Module) -> None:
    """Keep the features of drawn weights small: without statistics no norm does it for them."""
    with torch.no_grad():
        for block in model.modules():
            if isinstance(block, CNNBlockBase):
                norms = [m for m in block.modules() if hasattr(m, "running_var")]
                for norm in norms[-1:]:
                    norm.weight.fill_(0.2)


def _train(
    model: nn.Module, optimizer: torch.optim.Optimizer, inputs: list[dict[str, object]]
) -> None:
    with EventStorage():  # Detectron2's heads write their metrics there
        losses = torch.stack(list(model.train()(inputs).values())).sum()
    optimizer.zero_grad()
    losses.backward()
    optimizer.step()


def _image(cfg: CfgNode, case: ModelCase) -> dict[str, object]:
    """An image of noise with boxes, masks and keypoints, as a data loader hands it over."""
    height, width = case.height, case.width
    corners = torch.rand(OBJECTS, 2) * torch.tensor([width * 0.6, height * 0.6])
    boxes = torch.cat([corners, corners + torch.tensor([width * 0.3, height * 0.3])], dim=1)
    truth = Instances((height, width))
    truth.gt_boxes = Boxes(boxes)
    truth.gt_classes = torch.randint(cfg.MODEL.ROI_HEADS.NUM_CLASSES, (OBJECTS,))
    if cfg.MODEL.MASK_ON:
        masks = torch.zeros(OBJECTS, height, width, dtype=torch.bool)
        for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist(), strict=True):
            mask[top:bottom, left:right] = True
        truth.gt_masks = BitMasks(masks)
    if cfg.MODEL.KEYPOINT_ON:
        points = cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS
        at = corners.unsqueeze(1) + torch.rand(OBJECTS, points, 2) * width * 0.1
        truth.gt_keypoints = Keypoints(torch.cat([at, torch.full_like(at[..., :1], 2)], dim=2))
    image = (torch.rand(3, height, width) * 255).byte()
    return {"image": image, "instances": truth, "height": height, "width": width}


def compare_models(
    model: CfgNode,
    twin: CfgNode,
    *,
    training: bool,
    size: tuple[int, int] = (800, 1344),
    rounds: int = 3,
    repeats: int = 5,
) -> dict[str, float]:
    """A detector against its twin, in turn, each time in a process of its own.

    Args:
        model: a full config.
        twin: what it is compared to.
        training: a training iteration of one image, else the inference of one.
        size: (height, width) of the image in pixels.
        rounds: how often the two are measured in turn.
        repeats: passes timed in each process.

    Returns:
        See `medians`.

    Raises:
        ValueError: a count below 1, or sides too small for the boxes.
        RuntimeError: a measurement failed.
    """
    if rounds < 1 or repeats < 1 or min(size) < 32:
        raise ValueError(f"rounds={rounds}, repeats={repeats}, size={size}; expected 1, 1 and 32")
    cases = [ModelCase(cfg.dump(), training, *size) for cfg in (model, twin)]
    pairs = []
    for _ in range(rounds):
        first, second = (run_apart(__name__, asdict(case), repeats) for case in cases)
        pairs.append((Result(**first), Result(**second)))
    return medians(pairs)


def main(case: dict[str, str | int | bool], repeats: int) -> dict[str, float]:
    """What the fresh process does."""
    return asdict(measure(ModelCase(**case), repeats))  # type: ignore[arg-type]


if __name__ == "__main__":
    answer(main)
