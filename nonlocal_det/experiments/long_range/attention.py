"""The attention of one query in each model of a long-range comparison, over a test image."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle

from nonlocal_det.configs import load_config
from nonlocal_det.experiments.run import Json
from nonlocal_det.inference.attention_queries import map_at
from nonlocal_det.inference.detector import Detector
from nonlocal_det.inference.sources import read_picture
from nonlocal_det.layers import PerPositionBlock, nonlocal_blocks
from nonlocal_det.synthetic.long_range import LIMB_JOINTS
from nonlocal_det.visualization import AttentionMap, new_figure, record_attention

from .comparisons import LABELS, Comparison

CHECKPOINT = "model_final.pth"
# From transparent to opaque, in a colour that no drawn object has.
HEAT = LinearSegmentedColormap.from_list("heat", [(0.35, 0.0, 0.5, 0.0), (0.35, 0.0, 0.5, 0.9)])


@dataclass(frozen=True)
class Query:
    """The object, or the joint, of an image whose attention is drawn."""

    file: Path
    image_id: int
    point: tuple[float, float]  # x, y in pixels: an object's middle, or a joint
    box: tuple[float, float, float, float]  # around the object: x0, y0, x1, y1
    fields: float  # how far its evidence is, in receptive fields


def find_seeds(suite: Json, comparison: Comparison, folder: Path) -> list[int]:
    """Find the seeds under which all models have a checkpoint in the suite's folder."""
    return [
        seed
        for seed in sorted({int(run["seed"]) for run in suite["runs"]})
        if all(_checkpoint(folder, name, seed).is_file() for name in comparison.configs.values())
    ]


def _checkpoint(folder: Path, config: str, seed: int) -> Path:
    """Where `Plan` puts the runs."""
    return folder / config.rsplit("/", 1)[-1] / f"seed{seed}" / CHECKPOINT


def find_query(annotations: Path, images: Path, image_id: int = 0) -> Query:
    """Find the farthest object of an image, or of a figure the farthest joint of a limb.

    Args:
        annotations: of a long-range split.
        images: the folder of its images.
        image_id: of the image; 0: the first one with an object, or joint, more than one receptive
            field from its evidence, else that with the farthest one. So no image is picked by hand.

    Raises:
        FileNotFoundError: the annotations are not there.
        ValueError: no such image, or it has no object.
    """
    if not annotations.is_file():
        raise FileNotFoundError(
            f"{annotations}: no such file; set DETECTRON2_DATASETS to the folder of the data, or "
            "draw it again by make-long-range"
        )
    content = json.loads(annotations.read_text())
    files = {image["id"]: image["file_name"] for image in content["images"]}
    field = content["info"]["recipe"]["receptive_field"]
    queries = [
        Query(images / files[item["image_id"]], item["image_id"], point, box, distance / field)
        for item in content["annotations"]
        for point, box, distance in [_farthest(item)]
        if image_id in (0, item["image_id"])
    ]
    if not queries:
        raise ValueError(
            f"{annotations}: no object in image {image_id}; there are the images "
            f"{min(files)} to {max(files)}"
        )
    first = min((query.image_id for query in queries if query.fields > 1), default=0)
    return max((q for q in queries if first in (0, q.image_id)), key=lambda query: query.fields)


def _farthest(item: Json) -> tuple[tuple[float, float], tuple[float, float, float, float], float]:
    """Point, box and distance in pixels of one annotation."""
    x, y, width, height = item["bbox"]
    box = (x, y, x + width, y + height)
    if "keypoint_evidence_distances" not in item:
        return (x + width / 2, y + height / 2), box, item["evidence_distance"]
    distances = item["keypoint_evidence_distances"]
    joint = max(LIMB_JOINTS, key=lambda k: float(distances[k]))
    joint_x, joint_y = item["keypoints"][3 * joint : 3 * joint + 2]
    return (joint_x + 0.5, joint_y + 0.5), box, distances[joint]


def draw_attention(
    suite: Json,
    comparison: Comparison,
    seeds: Sequence[int],
    folder: Path,
    path: Path,
    image_id: int,
    reach: float,
) -> None:
    """Draw the attention of each model's last block, under each seed, at one point of an image.

    A model without attention, as the baseline and the control, is drawn once.

    Args:
        suite: of `read_suite`.
        comparison: the models.
        seeds: of `find_seeds`, at least one.
        folder: where the suite's ``results.json`` is.
        path: the PNG to write.
        image_id: see `find_query`.
        reach: see `draw_panels`.

    Raises:
        FileNotFoundError: the test images or a checkpoint are not there.
        ValueError: see `find_query` and `map_at`.
    """
    configs = {
        role: load_config(name, suite["overrides"]) for role, name in comparison.configs.items()
    }
    metadata = MetadataCatalog.get(next(iter(configs.values())).DATASETS.TEST[0])
    query = find_query(Path(metadata.json_file), Path(metadata.image_root), image_id)
    image = read_picture(query.file)
    panels = []
    for role, cfg in configs.items():
        for seed in seeds:
            checkpoint = _checkpoint(folder, comparison.configs[role], seed)
            label, attention = _attention(seed, cfg, checkpoint, image, query)
            panels.append((LABELS[role] + label, attention))
            if attention is None:
                break
    title = (
        f"{query.file.parent.name} image {query.image_id}: the evidence is {query.fields:.2f} "
        "receptive fields away"
    )
    draw_panels(image, query, panels, path, reach, title)


def _attention(
    seed: int, cfg: CfgNode, checkpoint: Path, image: np.ndarray, query: Query
) -> tuple[str, AttentionMap | None]:
    """The end of a panel's label, and the map."""
    detector = Detector(cfg, checkpoint)
    blocks = nonlocal_blocks(detector.model)
    if not blocks:
        return ": no block", None
    name, block = list(blocks.items())[-1]
    if isinstance(block, PerPositionBlock):
        return ": only itself", None
    with record_attention(detector.model) as maps:
        (detections,) = detector([image])
        # a joint may lie a little outside of the box that was detected around the figure
        return f", seed {seed}", map_at(maps, name, query.point, 0, detections[:1])


def draw_panels(
    image: np.ndarray,
    query: Query,
    panels: Sequence[tuple[str, AttentionMap | None]],
    path: Path,
    reach: float,
    title: str = "",
) -> None:
    """Draw the image, and over it the attention map of each panel on one scale of colours.

    Args:
        image: RGB pixels (H, W, 3); the maps are in its pixels.
        query: is marked in each panel.
        panels: label and attention map; None for a model without.
        path: the PNG to write.
        reach: pixels that a detection sees to either side without a block; dashed.
        title: of the figure.
    """
    height, width = image.shape[:2]
    count = 1 + len(panels)
    columns = 1 if width > 1.6 * height else 2 if count < 5 else 3
    rows = -(-count // columns)
    figure = new_figure(8.6, rows * (8.0 / columns * height / width + 0.35) + 0.3)
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axis in axes:
        axis.axis("off")
    figure.suptitle(title, fontsize=10)
    highest = max((float(a.weights.max()) for _, a in panels if a is not None), default=1.0)
    heat = None
    faded = (image.astype(float) / 2 + 127).astype(np.uint8)
    for axis, (label, attention) in zip(axes, [("the image", None), *panels], strict=False):
        axis.imshow(image if axis is axes[0] else faded)
        if attention is not None:
            heat = _draw_weights(axis, attention, highest)
        axis.set_title(label, fontsize=9, loc="left")
        dashed = _mark(axis, query, reach)
        axis.set(xlim=(0, width), ylim=(height, 0))
    figure.legend(handles=[dashed], loc="outside lower left", fontsize=8, frameon=False)
    if heat is not None:
        figure.colorbar(heat, ax=list(axes), shrink=0.6, label="weight of a key position, f / C")
    figure.savefig(path, dpi=150)


def _draw_weights(axis: Axes, attention: AttentionMap, highest: float) -> ScalarMappable:
    height, width = attention.placement.image_size
    if attention.placement.is_roi:
        axis.add_patch(_rectangle(attention.placement.box, color=HEAT(1.0), linewidth=0.8))
    return axis.imshow(
        attention.to_image(),
        extent=(0, width, height, 0),
        interpolation="nearest",  # a key position is a square: nothing is smoothed
        cmap=HEAT,
        norm=Normalize(0, highest),
    )


def _mark(axis: Axes, query: Query, reach: float) -> Rectangle:
    """Mark the query point and its object; return what its detection sees without a block."""
    x, y = query.point
    axis.plot(x, y, marker="*", markersize=11, color="#F0E442", markeredgecolor="black")
    axis.add_patch(_rectangle(query.box, color="black", linewidth=1.2))
    label = "the farthest that the object's detection sees without a block"
    field = (x - reach, y - reach, x + reach, y + reach)
    dashed = _rectangle(field, color="0.2", linestyle="--", label=label)
    axis.add_patch(dashed)
    return dashed


def _rectangle(box: Sequence[float], **style: Any) -> Rectangle:
    x0, y0, x1, y1 = box
    return Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, **style)
