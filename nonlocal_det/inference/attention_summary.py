"""Summarise the attention of a model's blocks over a data set: by query and by block."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog
from detectron2.structures import BoxMode, Instances
from tabulate import tabulate
from tqdm import tqdm

from nonlocal_det.training.checks import check_test_data
from nonlocal_det.visualization import (
    STATISTICS,
    AttentionMaps,
    describe_map,
    draw_summary,
    query_independence,
    record_attention,
)

from .attention_queries import clip_point, find_roi
from .detector import Detector
from .sources import read_picture

Row = dict[str, Any]
GRID = 64
"""Query positions of an image (or region) among which independence is measured."""


def summarize_attention(
    detector: Detector,
    out: Path,
    *,
    images: int = 100,
    threshold: float = 0.5,
    blocks: Sequence[str] = (),
    json_path: Path | None = None,
    progress: bool = True,
) -> str:
    """Write ``queries.csv``, ``blocks.csv`` and ``summary.png``.

    A query is the centre of an instance's box: of the annotated ones for blocks that see the image;
    of the detected ones for a head's blocks, in their own regions, whose own box is the region. See
    `describe_map` for the columns, and `query_independence`, which is measured among the positions
    of a grid in each image or region, and is the mean over them.

    Args:
        detector: the model; its config's first test data set is gone through.
        out: folder; made if absent.
        images: at most so many, the first ones.
        threshold: detections with a lower score are left out.
        blocks: names; none: all of the model.
        json_path: where to write the blocks' rows, too; nan is written as null.
        progress: whether a bar is shown.

    Returns:
        The blocks' rows as a table.

    Raises:
        ValueError: an unknown block, ``images`` below 1, a model without blocks, a per-position
            block, or no query at all.
        FileNotFoundError: the data is not there.
    """
    if images < 1:
        raise ValueError(f"--images {images}: expected at least 1")
    check_test_data(detector.cfg)
    records = DatasetCatalog.get(detector.cfg.DATASETS.TEST[0])[:images]
    queries: list[Row] = []
    scores: dict[str, list[float]] = {}
    with record_attention(detector.model) as maps:
        names = [maps.find(name) for name in blocks] or list(maps.blocks)
        for record in tqdm(records, unit="image", disable=not progress):
            (instances,) = detector([read_picture(Path(record["file_name"]))], threshold)
            for name in names:
                rows, independence = _measure(maps, name, record, instances)
                queries += rows
                scores.setdefault(name, []).extend(independence)
    if not queries:
        raise ValueError(f"no instance in the {len(records)} images, so nothing to ask from")
    summary = [_block_row(name, queries, scores[name]) for name in names]
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "queries.csv", queries)
    _write(out / "blocks.csv", summary)
    draw_summary(queries, summary, out / "summary.png")
    if json_path:
        rows = [{k: None if v != v else v for k, v in row.items()} for row in summary]
        json_path.write_text(json.dumps(rows, indent=1))
    return tabulate(summary, headers="keys", floatfmt=".3f", tablefmt="github")


def _measure(
    maps: AttentionMaps, name: str, record: Row, instances: Instances
) -> tuple[list[Row], list[float]]:
    """Compute the queries' rows of one block and image, and its independence in each grid."""
    in_head = maps.is_in_roi_head(name)
    boxes = instances.pred_boxes.tensor.tolist() if in_head else _annotated(record)
    rois: list[int | None] = [None] * len(boxes)
    if in_head:
        rois = [find_roi(maps, name, 0, instances[k]) for k in range(len(instances))]
    rows = []
    for k, (x0, y0, x1, y1) in enumerate(boxes):
        # an annotated box may end outside of the image
        x, y = clip_point(((x0 + x1) / 2, (y0 + y1) / 2), maps.image_sizes[0])
        attention = maps.at(name, (x, y), roi=rois[k])
        statistics = describe_map(attention, (x0, y0, x1, y1), [*boxes[:k], *boxes[k + 1 :]])
        row = {"block": name, "image_id": record["image_id"], "instance": k}
        rows.append({**row, "query_x": x, "query_y": y, **statistics})
    grids = [maps.at_grid(name, roi=roi, most=GRID) for roi in (rois if in_head else [None])]
    return rows, [query_independence(grid) for grid in grids]


def _annotated(record: Row) -> list[list[float]]:
    """Return the boxes (x0, y0, x1, y1) of the annotated instances without crowds."""
    return [
        list(BoxMode.convert(annotation["bbox"], annotation["bbox_mode"], BoxMode.XYXY_ABS))
        for annotation in record["annotations"]
        if not annotation.get("iscrowd", 0)
    ]


def _block_row(name: str, queries: Sequence[Row], scores: Sequence[float]) -> Row:
    """Average over a block's queries and grids; queries without attention do not count."""
    own = [row for row in queries if row["block"] == name]
    nowhere = sum(math.isnan(row["entropy_bits"]) for row in own)
    means = {key: _mean([row[key] for row in own]) for key in STATISTICS}
    counts = {"block": name, "queries": len(own), "look_nowhere": nowhere}
    return {**counts, "query_independence": _mean(scores), **means}


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else math.nan


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
