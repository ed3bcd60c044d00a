"""Draw data, train, evaluate and write pictures, on a bare machine in minutes.

Example:
  %(prog)s SEED 2 OUTPUT_DIR output/seed2
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, Metadata, MetadataCatalog

from nonlocal_det.configs import load_config
from nonlocal_det.inference.attention_queries import AttentionQuery, Point, attention_at
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
from .train import TASKS, metrics_table, run

CONFIG = "quick/nl_mask_keypoint_rcnn_R18"


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, then train the small non-local Mask + Keypoint R-CNN."""
    run_quickstart(argv, __doc__, CONFIG, make_mini_coco, draw)


@one_line_errors()
def run_quickstart(
    argv: Sequence[str] | None,
    description: str | None,
    config: str,
    make_data: Callable[[Path], object],
    draw_pictures: Callable[[CfgNode], dict[str, Path]],
) -> None:
    """Draw data, train as the command does, evaluate, draw; print metrics, time and paths.

    The floors of ``TEST.EXPECTED_RESULTS`` in the config end the process with status 1 if the
    trained model does not reach them.

    Args:
        argv: KEY VALUE pairs that override the config; by default this process's.
        description: of ``--help``.
        config: the name of a packaged config.
        make_data: draws the data into the folder of all data sets.
        draw_pictures: of a finished run, by what they show.
    """
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=raw)
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs of the config")
    options = parser.parse_args(argv).opts
    make_data(Path(os.environ.get("DETECTRON2_DATASETS", "datasets")).expanduser())
    args = build_argument_parser().parse_args(["--config-file", config, *options])
    floors = expected_results(load_config(config, args.opts))
    args.opts = [*args.opts, "TEST.EXPECTED_RESULTS", str(floors)]
    start = time.perf_counter()
    results = run(args)
    minutes = (time.perf_counter() - start) / 60
    print(f"\ntraining and evaluation took {minutes:.1f} minutes\n")
    paths = draw_pictures(config_from_arguments(args))
    for task in TASKS:
        if task in results:
            print(metrics_table(task, results[task]))
    for what, path in paths.items():
        print(f"{what}: {path}")


def expected_results(cfg: CfgNode) -> list[list[Any]]:
    """Return the rows of ``TEST.EXPECTED_RESULTS`` for the tasks that the model has."""
    has_head = {"segm": cfg.MODEL.MASK_ON, "keypoints": cfg.MODEL.KEYPOINT_ON}
    return [list(row) for row in cfg.TEST.EXPECTED_RESULTS if has_head.get(row[0], True)]


def draw(cfg: CfgNode, count: int = 8) -> dict[str, Path]:
    """Draw the quickstart's pictures, from the last checkpoint of a finished run.

    Args:
        cfg: the run's config.
        count: validation images in the picture of predictions.
    """
    out = Path(cfg.OUTPUT_DIR)
    detector = Detector(cfg)
    name = cfg.DATASETS.TEST[0]
    metadata = MetadataCatalog.get(name)
    records = [r for r in DatasetCatalog.get(name) if r["annotations"]][:count]
    samples = []
    for record in records:
        image = read_picture(Path(record["file_name"]))
        samples.append((image, record, detector([image])[0]))
    return {
        "predictions": draw_predictions(samples, metadata, out / "predictions.png"),
        "losses": draw_losses(read_metrics(out / "metrics.json"), out / "losses.png"),
        "attention": _draw_attention(detector, records, out / "attention.png"),
    }


def find_person(records: list[dict[str, Any]], metadata: Metadata) -> tuple[Path, Point]:
    """Return the image of the first person and the centre of its box.

    Args:
        records: of Detectron2's catalogue, with annotated objects; where none is a person, the
            first object is taken.
        metadata: with ``thing_classes``.
    """
    classes = metadata.get("thing_classes", [])
    objects = [(record, annotation) for record in records for annotation in record["annotations"]]
    persons = [
        (record, annotation)
        for record, annotation in objects
        if classes[annotation["category_id"]] == "person"
    ]
    record, annotation = (persons or objects)[0]
    x, y, width, height = annotation["bbox"]
    return Path(record["file_name"]), (x + width / 2, y + height / 2)


def _draw_attention(detector: Detector, records: list[dict[str, Any]], path: Path) -> Path:
    """Draw the attention of the backbone's block from the centre of the first person's box."""
    file, point = find_person(records, detector.metadata)
    image = read_picture(file)
    with record_attention(detector.model) as maps:
        (instances,) = detector([image])
        query = AttentionQuery(point)
        (attention,) = attention_at(maps, query, 0, instances, detector.metadata)
    return draw_attention(image, [attention.maps], path, titles=["from the dot"])
