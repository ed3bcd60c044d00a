"""The whole path on a bare machine in minutes: draw data, train, evaluate, write pictures."""

import argparse
import logging
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

from nonlocal_det.inference.attention_queries import Question, ask
from nonlocal_det.inference.detector import Detector
from nonlocal_det.inference.sources import read_picture
from nonlocal_det.synthetic.mini_coco import make_mini_coco
from nonlocal_det.visualization import (
    draw_attention,
    draw_losses,
    draw_predictions,
    read_metrics,
    record_attention,
)

from .arguments import build_argument_parser, config_from_arguments
from .errors import one_line_errors
from .train import run

CONFIG = "quick/nl_mask_keypoint_rcnn_R18"
TASKS = {"bbox": "box", "segm": "mask", "keypoints": "keypoint"}
logger = logging.getLogger("nonlocal_det")


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and run the quickstart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs of the config")
    with one_line_errors():
        quickstart(parser.parse_args(argv).opts)


def quickstart(options: list[str] | None = None) -> dict[str, Any]:
    """Draw the mini-COCO, train the small non-local Mask + Keypoint R-CNN, evaluate, draw.

    The floors of ``TEST.EXPECTED_RESULTS`` in the config end the process with status 1 if the
    trained model does not reach them.

    Args:
        options: KEY VALUE pairs that override the config.

    Returns:
        The metrics of each task, and under ``"paths"`` the pictures.
    """
    options = options or []
    make_mini_coco(Path(os.environ.get("DETECTRON2_DATASETS", "datasets")).expanduser())
    args = build_argument_parser().parse_args(["--config-file", CONFIG, *options])
    start = time.perf_counter()
    results = run(args)
    minutes = (time.perf_counter() - start) / 60
    cfg = config_from_arguments(args)
    paths = draw(cfg)
    print(f"\ntraining and evaluation took {minutes:.1f} minutes\n")
    for task, title in TASKS.items():
        print(table(title, results[task]))
    for what, path in paths.items():
        print(f"{what}: {path}")
    return {**results, "paths": paths}


def table(title: str, metrics: dict[str, float]) -> str:
    """One task's metrics as a small table; AR and per-category rows are in the log."""
    names = [name for name in metrics if name.startswith("AP") and "-" not in name]
    head = " | ".join(f"{name:>5}" for name in names)
    # nan: no such object in the data, as large ones (over 96 x 96 pixels) in small images
    values = ("-" if math.isnan(metrics[name]) else f"{metrics[name]:.1f}" for name in names)
    line = " | ".join(f"{value:>5}" for value in values)
    return f"{title:>8} | {head}\n{'':8} | {line}\n"


def draw(cfg: CfgNode, count: int = 8) -> dict[str, Path]:
    """The quickstart's pictures, from the last checkpoint of a finished run.

    Args:
        cfg: the run's config.
        count: validation images in the picture of predictions.
    """
    out = Path(cfg.OUTPUT_DIR)
    detector = Detector(cfg)
    name = cfg.DATASETS.TEST[0]
    records = [r for r in DatasetCatalog.get(name) if r["annotations"]][:count]
    samples = []
    for record in records:
        image = read_picture(Path(record["file_name"]))
        samples.append((image, record, detector([image])[0]))
    return {
        "predictions": draw_predictions(
            samples, MetadataCatalog.get(name), out / "predictions.png"
        ),
        "losses": draw_losses(read_metrics(out / "metrics.json"), out / "losses.png"),
        "attention": _draw_attention(detector, records[0], out / "attention.png"),
    }


def _draw_attention(detector: Detector, record: dict[str, Any], path: Path) -> Path:
    """What the backbone's block looks at from the middle of the first person's box."""
    image = read_picture(Path(record["file_name"]))
    x, y, width, height = record["annotations"][0]["bbox"]
    point = (x + width / 2, y + height / 2)
    with record_attention(detector.model) as maps:
        (found,) = detector([image])
        (look,) = ask(maps, Question(point), 0, found, detector.metadata)
    return draw_attention(image, [look.maps], path, titles=["from the dot"])
