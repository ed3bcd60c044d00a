"""Draw the README's first figure: a trained model's detections, and its res4 block's attention."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog
from detectron2.structures import Instances
from PIL import Image

from nonlocal_det.synthetic.mini_coco import make_mini_coco
from nonlocal_det.training.checks import check_test_data
from nonlocal_det.visualization import (
    AttentionMap,
    draw_instances,
    new_figure,
    paint_arrows,
    paint_heat,
    record_attention,
)

from .attention_queries import AttentionQuery, attention_at
from .detector import Detector
from .sources import read_picture

TITLES = ("found", "where the block in res4 looks from the dot", "its strongest positions")


def draw_overview(
    detector: Detector, path: Path, *, images: int = 2, threshold: float = 0.9
) -> Path:
    """Draw detections and the attention of the backbone's first block, a row for each image.

    From the centre of the best-scored instance of the first test images with at least two.

    Args:
        detector: the model.
        path: the PNG to write; of 256 colours, so that it is small. Its folder is made if absent.
        images: rows.
        threshold: detections with a lower score are left out.

    Raises:
        ValueError: no test image has two instances found, or no block is in the backbone.
        FileNotFoundError: the data is not there.
    """
    check_test_data(detector.cfg)
    rows: list[tuple[np.ndarray, Instances, AttentionMap]] = []
    with record_attention(detector.model) as maps:
        for record in DatasetCatalog.get(detector.cfg.DATASETS.TEST[0]):
            image = read_picture(Path(record["file_name"]))
            (instances,) = detector([image], threshold)
            if len(instances) >= 2:
                query = AttentionQuery("instances", most=1)
                (attention,) = attention_at(maps, query, 0, instances, detector.metadata)
                rows.append((image, instances, attention.maps[0]))
            if len(rows) == images:
                break
    if not rows:
        raise ValueError(
            f"the model finds no two instances over {threshold:g} in any image of "
            f"{detector.cfg.DATASETS.TEST[0]}; train it longer, or lower the threshold"
        )
    _draw(rows, detector, path)
    return path


def _draw(
    rows: list[tuple[np.ndarray, Instances, AttentionMap]], detector: Detector, path: Path
) -> None:
    figure = new_figure(8.4, 2.9 * len(rows))
    axes: Any = figure.subplots(len(rows), 3, squeeze=False)
    for (detections, heat, arrows), (image, instances, attention) in zip(axes, rows, strict=True):
        detections.imshow(draw_instances(image, instances, detector.metadata))
        detections.axis("off")
        paint_heat(heat, image, attention)
        paint_arrows(arrows, image, attention)
    for axis, title in zip(axes[0], TITLES, strict=True):
        axis.set_title(title, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256)
    small.save(path, optimize=True)


def make_drawn_data() -> None:
    """Draw the mini-COCO where the configs look for it; no work if it is there."""
    make_mini_coco(Path(os.environ.get("DETECTRON2_DATASETS", "datasets")).expanduser())
