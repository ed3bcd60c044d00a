"""Attention from query positions of an image: a point, instances' centres, or their joints."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from detectron2.data import Metadata
from detectron2.structures import Instances

from nonlocal_det.visualization import AttentionMap, AttentionMaps

KINDS = ("instances", "keypoints")
JOINTS = 3
"""Joints of an instance that are queries where none is chosen: those with the best scores."""

Point = tuple[float, float]
"""x and y in pixels of the image."""


@dataclass(frozen=True)
class AttentionQuery:
    """The query positions of an image.

    Args:
        of: ``instances``, ``keypoints``, or a point (x, y) in pixels of the image.
        blocks: names of blocks; none: the backbone's for a point and for instances, the keypoint
            head's for keypoints.
        joints: names of keypoints, for ``keypoints``.
        most: at most so many instances of an image, the best scores first.
    """

    of: str | Point
    blocks: tuple[str, ...] = ()
    joints: tuple[str, ...] = ()
    most: int = 3


@dataclass(frozen=True)
class QueryMaps:
    """The attention of one query position.

    Args:
        title: the position, as the joint's name.
        maps: one for each block.
        figure: maps with the same number belong into one figure, as those of an instance's joints.
    """

    title: str
    maps: list[AttentionMap]
    figure: int = 0


def parse_query(
    text: str, blocks: Sequence[str] = (), joints: Sequence[str] = (), most: int = 3
) -> AttentionQuery:
    """Parse the query of a command line.

    Args:
        text: ``X,Y``, ``instances`` or ``keypoints``.
        blocks: see `AttentionQuery`.
        joints: see `AttentionQuery`.
        most: see `AttentionQuery`.

    Raises:
        ValueError: ``text`` is none of these, or ``most`` is below 1.
    """
    if most < 1:
        raise ValueError(f"--instances {most}: expected at least 1")
    of: str | Point = text
    if text not in KINDS:
        try:
            x, y = (float(word) for word in text.split(","))
        except ValueError as error:
            raise ValueError(
                f"--attention {text!r}: expected a point X,Y in pixels, {' or '.join(KINDS)}"
            ) from error
        of = (x, y)
    return AttentionQuery(of, tuple(blocks), tuple(joints), most)


def attention_at(
    maps: AttentionMaps,
    query: AttentionQuery,
    image: int,
    instances: Instances,
    metadata: Metadata,
) -> list[QueryMaps]:
    """Read the attention of the blocks from each query position of one image.

    Args:
        maps: of the forward pass that has predicted ``instances``.
        query: where from, and of which blocks.
        image: its index in the batch.
        instances: its predictions, in its pixels.
        metadata: with the names of keypoints.

    Returns:
        Nothing where no instance was predicted, and the query is no point.

    Raises:
        ValueError: a point outside of the image, or for a block of a head of every instance; an
            unknown block or joint; a model without keypoints.
    """
    blocks = _choose_blocks(maps, query)

    def read(point: Point, instance: Instances) -> list[AttentionMap]:
        return [map_at(maps, name, point, image, instance) for name in blocks]

    if not isinstance(query.of, str):
        k = instance_at(instances, query.of)
        return [QueryMaps("point", read(query.of, instances[:0] if k is None else instances[k]))]
    result = []
    for k in range(min(len(instances), query.most)):
        points = {"centre": instances.pred_boxes.get_centers()[k].tolist()}
        if query.of == "keypoints":
            points = _joints(instances[k], query.joints, metadata)
        for title, point in points.items():
            inside = clip_point(point, instances.image_size)
            figure = k if query.of == "keypoints" else 0
            result.append(QueryMaps(f"{k + 1}: {title}", read(inside, instances[k]), figure))
    return result


def _choose_blocks(maps: AttentionMaps, query: AttentionQuery) -> list[str]:
    if query.blocks:
        return [maps.find(name) for name in query.blocks]
    of_head = query.of == "keypoints"
    names = [name for name in maps.blocks if maps.is_in_roi_head(name) == of_head]
    if not names:
        raise ValueError(
            f"--attention {query.of}: this model has no block in the "
            f"{'heads' if of_head else 'backbone'}; name blocks of {', '.join(maps.blocks)}"
        )
    return names


def instance_at(instances: Instances, point: Point) -> int | None:
    """Return the index of the smallest box that holds a point; None: no box does.

    Args:
        instances: predictions, in pixels of the image.
        point: (x, y) in these pixels.
    """
    x, y = point
    x0, y0, x1, y1 = instances.pred_boxes.tensor.unbind(1)  # each (R,)
    around = ((x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)).nonzero()[:, 0].tolist()
    return min(around, key=instances.pred_boxes.area().tolist().__getitem__, default=None)


def map_at(
    maps: AttentionMaps,
    name: str,
    point: Point,
    image: int,
    instance: Instances,
    pairwise: str | None = None,
) -> AttentionMap:
    """Read a block's attention from a point; for a block of a head in an instance's region.

    Args:
        maps: of the forward pass that has predicted the instance.
        name: of the block.
        point: (x, y) in pixels of the image; for a block of a head moved into its region.
        image: its index in the batch.
        instance: one; for a block of the backbone also none.
        pairwise: another function than the block's own; see `AttentionMaps.at`.

    Raises:
        ValueError: a block of a head and no instance; or as `AttentionMaps.at`.
    """
    if not maps.is_in_roi_head(name):
        return maps.at(name, point, image=image, pairwise=pairwise)
    if not len(instance):
        raise ValueError(
            f"block {name} sees the regions of detections, and none is at ({point[0]:g}, "
            f"{point[1]:g}); give a point inside of one, or a lower threshold"
        )
    roi = find_roi(maps, name, image, instance)
    x0, y0, x1, y1 = maps.rois(name, image)[roi]
    # the head predicts joints on its own grid, which may end outside of a thin region
    inside = (min(max(point[0], x0), x1), min(max(point[1], y0), y1))
    return maps.at(name, inside, image=image, roi=roi, pairwise=pairwise)


def find_roi(maps: AttentionMaps, name: str, image: int, instance: Instances) -> int:
    """Find the region of a block that is an instance's; Detectron2 may have dropped others.

    Args:
        maps: of the forward pass that has predicted the instance.
        name: of the block.
        image: its index in the batch.
        instance: the first one counts.
    """
    regions = maps.rois(name, image)
    height, width = instance.image_size
    clipped = np.clip(regions, 0, [width, height, width, height])
    return int(np.abs(clipped - instance.pred_boxes.tensor[0].numpy()).max(1).argmin())


def clip_point(point: Sequence[float], size: Sequence[int]) -> Point:
    """Move a point into an image of ``size`` (height, width), whose last border is outside."""
    height, width = size
    return min(max(point[0], 0.0), width - 1e-3), min(max(point[1], 0.0), height - 1e-3)


def _joints(
    instance: Instances, chosen: Sequence[str], metadata: Metadata
) -> dict[str, list[float]]:
    if not instance.has("pred_keypoints"):
        raise ValueError("--attention keypoints: this model finds none (MODEL.KEYPOINT_ON False)")
    joints = instance.pred_keypoints[0]  # (K, 3)
    names = list(metadata.get("keypoint_names", None) or map(str, range(len(joints))))
    if unknown := [name for name in chosen if name not in names]:
        raise ValueError(f"--joints {' '.join(unknown)}: there are {', '.join(names)}")
    best = joints[:, 2].argsort(descending=True).tolist()[:JOINTS]
    return {
        name: joints[names.index(name), :2].tolist() for name in chosen or [names[k] for k in best]
    }
