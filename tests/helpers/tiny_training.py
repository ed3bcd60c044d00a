"""A training of a few iterations on the CPU, through the command's own parser; what it left."""

import json
from pathlib import Path
from typing import Any

import torch

from nonlocal_det.cli import train
from nonlocal_det.cli.arguments import build_argument_parser, config_from_arguments

CONFIG = "quick/nl_mask_keypoint_rcnn_R18"
TINY = [
    *("SOLVER.IMS_PER_BATCH", "2", "SOLVER.STEPS", "()", "SOLVER.CHECKPOINT_PERIOD", "100"),
    *("INPUT.MIN_SIZE_TRAIN", "(64,)", "INPUT.MIN_SIZE_TEST", "64", "MODEL.DEVICE", "cpu"),
    *("TEST.EXPECTED_RESULTS", "[]", "SOLVER.BASE_LR", "0.001"),
]
TIMES = {"time", "data_time", "rank_data_time", "eta_seconds"}


def run(out, *arguments: str, iterations: int = 2, config: str = CONFIG):
    args = ["--config-file", config, *(a for a in arguments if a.startswith("--"))]
    args += ["OUTPUT_DIR", str(out), "SOLVER.MAX_ITER", str(iterations), *TINY]
    args += [a for a in arguments if not a.startswith("--")]
    return train.run(build_argument_parser().parse_args(args))


def config(*arguments: str):
    words = ["--config-file", CONFIG, *(a for a in arguments if a.startswith("--")), *TINY]
    words += [a for a in arguments if not a.startswith("--")]
    return config_from_arguments(build_argument_parser().parse_args(words))


def load(folder: Path, name: str = "model_final") -> dict[str, Any]:
    return torch.load(folder / f"{name}.pth", weights_only=True)


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def lay_checkpoint(folder: Path, whole: Path, number: int) -> None:
    """Leave in a folder what a kill after an iteration leaves."""
    folder.mkdir()
    name = f"model_{number:07d}.pth"
    (folder / name).write_bytes((whole / name).read_bytes())
    (folder / "last_checkpoint").write_text(name)


def same(one: object, other: object) -> bool:
    """Bit for bit, through containers."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other
