"""Time and memory of a detector against its baseline, in training and inference.

python benchmarks/model.py --config-file nl_mask_rcnn_R50 --against mask_rcnn_R50

Weights and pixels are drawn, so no data is needed: the image has a fixed size and fixed objects,
and every detection is kept, so that both detectors do equal work.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import build_model
from detectron2.modeling.backbone.resnet import CNNBlockBase
from detectron2.solver import build_optimizer
from detectron2.structures import BitMasks, Boxes, Instances, Keypoints
from detectron2.utils.events import EventStorage
from measure import Result, compare, comparison_table, measure, publish
from torch import nn

from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.configs import load_config
from nonlocal_det.detection.config import add_nonlocal_config
from nonlocal_det.training.provenance import hardware

PASSES = ("inference", "training")
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


def measure_model(case: ModelCase, seconds: float = 1.0) -> Result:
    """Measure in this process, with drawn weights and a drawn image."""
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    cfg = _config(case)
    model = build_model(cfg)
    _keep_features_small(model)
    optimizer = build_optimizer(cfg, model)
    inputs = [_image(cfg, case)]

    def run() -> None:
        if case.training:
            _train(model, optimizer, inputs)
        else:
            with torch.no_grad():
                model.eval()(inputs)

    return measure(run, torch.device(cfg.MODEL.DEVICE), seconds)


def _config(case: ModelCase) -> CfgNode:
    cfg = get_cfg()
    add_nonlocal_config(cfg)
    cfg.merge_from_other_cfg(CfgNode.load_cfg(case.config))
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0  # all DETECTIONS_PER_IMAGE boxes are kept
    cfg.SOLVER.BASE_LR = 0.0  # the weights stay as they are
    return cfg


def _keep_features_small(model: nn.Module) -> None:
    """Scale the last norm of each residual block: a FrozenBN without statistics scales nothing."""
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


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description="Measure a detector against its baseline.")
    parser.add_argument("--config-file", required=True, metavar="FILE", help="a path, or a name")
    parser.add_argument("--against", required=True, metavar="FILE", help="a path, or a name")
    parser.add_argument("--size", type=int, nargs=2, default=(800, 1344), metavar=("H", "W"))
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=PASSES)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=5.0, help="timed at least, each process")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--against-opt", nargs=2, action="append", default=[], help="its own only")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs, for both")
    args = parser.parse_args(argv)
    if args.rounds < 1 or min(args.size) < 32:
        parser.error(f"--rounds {args.rounds} --size {args.size}; expected at least 1 and 32")
    with one_line_errors():
        model = load_config(args.config_file, args.opts)
        baseline = load_config(args.against, [*args.opts, *sum(args.against_opt, [])])
    rows = []
    for name in args.passes:
        ours, other = (
            ModelCase(cfg.dump(), name == "training", *args.size) for cfg in (model, baseline)
        )
        rows.append(
            {
                "name": f"{Path(args.config_file).stem} {name}",
                "against": Path(args.against).stem,
                **compare(measure_model, ours, other, args.rounds, args.seconds),
            }
        )
    where = hardware(
        model.MODEL.DEVICE, threads=ModelCase.threads, packages=("torch", "detectron2")
    )
    publish(rows, comparison_table(rows, "batch 1"), where, args.json)


if __name__ == "__main__":
    main()
