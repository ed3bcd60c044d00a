"""Figures as PNG files, drawn with matplotlib and Detectron2's Visualizer; no screen is needed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import Metadata
from detectron2.structures import Instances
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nonlocal_det.data import import_cv2

SCALE = 4.0
"""Detectron2's Visualizer draws the small images of the mini-COCO so many times larger."""


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches that needs no display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # no pyplot: no global state, no display
    return figure


def draw_predictions(
    samples: Sequence[tuple[np.ndarray, dict[str, Any], Instances]],
    metadata: Metadata,
    path: Path,
    threshold: float = 0.5,
) -> Path:
    """Ground truth on the left, predictions on the right, two images a row.

    Args:
        samples: for each image its RGB pixels (H, W, 3), the data set's dictionary, and the
            predicted instances on the CPU.
        metadata: of the data set: class and keypoint names, skeleton.
        path: the PNG to write.
        threshold: predictions below this score are left out.

    Raises:
        ImportError: there is no OpenCV, which Detectron2's Visualizer needs.
    """
    import_cv2()
    from detectron2.utils.visualizer import Visualizer

    rows = (len(samples) + 1) // 2
    figure = new_figure(14, 3.4 * rows)
    axes = figure.subplots(rows, 4, squeeze=False).reshape(-1)
    for axis in axes:
        axis.axis("off")
    for k, (image, record, instances) in enumerate(samples):
        kept = instances[instances.scores > threshold]
        truth = Visualizer(image, metadata, scale=SCALE).draw_dataset_dict(record)
        found = Visualizer(image, metadata, scale=SCALE).draw_instance_predictions(kept)
        axes[2 * k].imshow(truth.get_image())
        axes[2 * k].set_title(f"image {record['image_id']}: ground truth", fontsize=9)
        axes[2 * k + 1].imshow(found.get_image())
        axes[2 * k + 1].set_title(f"{len(kept)} predictions over {threshold:g}", fontsize=9)
    figure.savefig(path, dpi=110)
    return path


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a ``metrics.json``, one per logged iteration; of the last run, if there are more.

    Detectron2 appends to the file: a row whose iteration is not above the one before it begins
    another run, or continues one that was resumed.
    """
    rows: list[dict[str, float]] = []
    for line in path.read_text().splitlines():
        row = json.loads(line)
        rows = [kept for kept in rows if kept["iteration"] < row["iteration"]]
        rows.append(row)
    return rows


def draw_losses(rows: Sequence[dict[str, float]], path: Path) -> Path:
    """The total loss and its parts over the iterations, as lines on a logarithmic scale.

    Args:
        rows: as `read_metrics` returns them.
        path: the PNG to write.
    """
    rows = [row for row in rows if "total_loss" in row]
    names = sorted({key for row in rows for key in row if key.startswith("loss_")})
    figure = new_figure(8, 4.5)
    axis = figure.subplots()
    for name in ["total_loss", *names]:
        points = [(row["iteration"], row[name]) for row in rows if name in row]
        width = 2.5 if name == "total_loss" else 1.2
        axis.plot(*zip(*points, strict=True), label=name, linewidth=width)
    axis.set_yscale("log")
    axis.set_xlabel("iteration")
    axis.set_ylabel("loss")
    axis.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=110)
    return path
