"""Where the arms of a long-range comparison look, from the checkpoints of its seeds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog

from nonlocal_det.configs import load_config
from nonlocal_det.inference.attention_queries import look_from
from nonlocal_det.inference.detector import Detector
from nonlocal_det.layers import PerPositionBlock, nonlocal_blocks
from nonlocal_det.synthetic.long_range import LIMB_JOINTS
from nonlocal_det.visualization import read_picture, record_attention

from .attention_panels import Look, compare_looks
from .model_pairs import LABELS, Comparison, Json, overrides_of

CHECKPOINT = "model_final.pth"


@dataclass(frozen=True)
class Query:
    """The object, or the joint, that is asked about.

    Attributes:
        file: of the image.
        image_id: its number.
        point: x, y in pixels: an object's middle, or a joint.
        box: around the object: x0, y0, x1, y1.
        fields: how far its evidence is, in receptive fields.
    """

    file: Path
    image_id: int
    point: tuple[float, float]
    box: tuple[float, float, float, float]
    fields: float


def find_seeds(suite: Json, comparison: Comparison, folder: Path) -> list[int]:
    """The seeds whose checkpoints of all arms lie in the suite's folder, ascending.

    Args:
        suite: of `read_suite`.
        comparison: the arms.
        folder: where the suite's ``results.json`` is.
    """
    return [
        int(seed)
        for seed in sorted({run["seed"] for run in suite["runs"]})
        if all(_checkpoint(folder, name, seed).is_file() for name in comparison.arms.values())
    ]


def _checkpoint(folder: Path, config: str, seed: int) -> Path:
    """As `engine.reproduce` lays out its runs."""
    return folder / config.rsplit("/", 1)[-1] / f"seed{seed}" / CHECKPOINT


def find_query(annotations: Path, images: Path, image_id: int = 0) -> Query:
    """The farthest object of an image, or of a figure the farthest joint of a limb.

    Args:
        annotations: of a long-range split.
        images: the folder of its images.
        image_id: of the image; 0: the first one with an object, or joint, more than one receptive
            field from its evidence, else that with the farthest one. So no image is picked by hand.

    Raises:
        ValueError: no such image, or it has no object.
    """
    content = json.loads(annotations.read_text())
    files = {one["id"]: one["file_name"] for one in content["images"]}
    field = content["info"]["recipe"]["receptive_field"]
    queries = [
        Query(images / files[one["image_id"]], one["image_id"], point, box, distance / field)
        for one in content["annotations"]
        for point, box, distance in [_farthest(one)]
        if image_id in (0, one["image_id"])
    ]
    if not queries:
        raise ValueError(
            f"{annotations}: no object in image {image_id}; there are the images "
            f"{min(files)} to {max(files)}"
        )
    beyond = [query for query in queries if query.fields > 1]
    first = min((query.image_id for query in beyond), default=0)
    return max((q for q in queries if first in (0, q.image_id)), key=lambda query: query.fields)


def _farthest(one: Json) -> tuple[tuple[float, float], tuple[float, float, float, float], float]:
    """Point, box and distance in pixels of one annotation."""
    x, y, width, height = one["bbox"]
    box = (x, y, x + width, y + height)
    if "keypoint_evidence_distances" not in one:
        return (x + width / 2, y + height / 2), box, one["evidence_distance"]
    distances = one["keypoint_evidence_distances"]
    joint = max(LIMB_JOINTS, key=lambda k: float(distances[k]))
    joint_x, joint_y = one["keypoints"][3 * joint : 3 * joint + 2]
    return (joint_x + 0.5, joint_y + 0.5), box, distances[joint]


def draw_comparison_looks(
    suite: Json,
    comparison: Comparison,
    seeds: Sequence[int],
    folder: Path,
    path: Path,
    *,
    image_id: int = 0,
    reach: float | None = None,
) -> Path:
    """Ask the last block of each arm, under each seed, about the same place of a test image.

    An arm without attention, as the baseline and the control, is there once.

    Args:
        suite: of `read_suite`.
        comparison: the arms.
        seeds: of `find_seeds`, at least one.
        folder: where the suite's ``results.json`` is.
        path: the PNG to write.
        image_id: see `find_query`.
        reach: pixels that a detection sees to either side without a block.

    Raises:
        FileNotFoundError: the test images or a checkpoint are not there.
        ValueError: see `find_query` and `look_from`.
    """
    configs = {arm: load_config(name, overrides_of(suite)) for arm, name in comparison.arms.items()}
    query = _query_of(next(iter(configs.values())), image_id)
    image = read_picture(query.file)
    looks = []
    for arm, cfg in configs.items():
        for seed in seeds:
            checkpoint = _checkpoint(folder, comparison.arms[arm], seed)
            looks.append(_look(LABELS[arm], seed, cfg, checkpoint, image, query))
            if looks[-1].seen is None:
                break
    return compare_looks(
        image,
        query.point,
        looks,
        path,
        box=query.box,
        reach=reach,
        title=(
            f"{query.file.parent.name} image {query.image_id}: the evidence is {query.fields:.2f} "
            "receptive fields away"
        ),
    )


def _query_of(cfg: CfgNode, image_id: int) -> Query:
    metadata: Any = MetadataCatalog.get(cfg.DATASETS.TEST[0])
    annotations = Path(metadata.json_file)
    if not annotations.is_file():
        raise FileNotFoundError(
            f"{annotations}: no such file; say where the data is by DETECTRON2_DATASETS, or draw "
            "it again by tools/make_long_range.py"
        )
    return find_query(annotations, Path(metadata.image_root), image_id)


def _look(
    label: str, seed: int, cfg: CfgNode, checkpoint: Path, image: np.ndarray, query: Query
) -> Look:
    detector = Detector(cfg, checkpoint)
    blocks = nonlocal_blocks(detector.model)
    if not blocks:
        return Look(f"{label}: no block", None)
    name, block = list(blocks.items())[-1]
    if isinstance(block, PerPositionBlock):
        return Look(f"{label}: at itself alone", None)
    with record_attention(detector.model) as maps:
        (found,) = detector([image])
        # a joint may lie a little outside of the figure's box as it was found
        return Look(f"{label}, seed {seed}", look_from(maps, name, query.point, 0, found[:1]))
