"""What of an image is asked where it looks: a point, the instances' centres, or their joints."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from detectron2.data import Metadata
from detectron2.structures import Instances

from nonlocal_det.visualization import AttentionMap, AttentionMaps

KINDS = ("instances", "keypoints")
JOINTS = 3
"""So many joints of an instance are asked where none is chosen: those with the best scores."""


@dataclass(frozen=True)
class Question:
    """What `ask` shall ask.

    Attributes:
        of: ``instances``, ``keypoints``, or a point (x, y) in pixels of the image.
        blocks: names of blocks; none: the backbone's for a point and for instances, the keypoint
            head's for keypoints.
        joints: names of keypoints, for ``keypoints``.
        most: at most so many instances of an image, the best scores first.
    """

    of: str | tuple[float, float]
    blocks: tuple[str, ...] = ()
    joints: tuple[str, ...] = ()
    most: int = 3


def parse_question(
    text: str, blocks: Sequence[str] = (), joints: Sequence[str] = (), most: int = 3
) -> Question:
    """The question of a command line.

    Args:
        text: ``X,Y``, ``instances`` or ``keypoints``.
        blocks: see `Question`.
        joints: see `Question`.
        most: see `Question`.

    Raises:
        ValueError: it is none of these, or ``most`` is below 1.
    """
    if most < 1:
        raise ValueError(f"--instances {most}: expected at least 1")
    rest = (tuple(blocks), tuple(joints), most)
    if text in KINDS:
        return Question(text, *rest)
    try:
        x, y = (float(word) for word in text.split(","))
    except ValueError as error:
        raise ValueError(
            f"--attention {text!r}: expected a point X,Y in pixels, {' or '.join(KINDS)}"
        ) from error
    return Question((x, y), *rest)


@dataclass(frozen=True)
class Look:
    """One query's maps, a map for each block.

    Attributes:
        title: what was asked, as the joint's name.
        maps: in the order of the blocks.
        figure: looks with the same number go into one figure: an instance's joints do.
    """

    title: str
    maps: list[AttentionMap]
    figure: int = 0


def choose_blocks(maps: AttentionMaps, question: Question) -> list[str]:
    """The full names of the blocks that a question is for.

    Raises:
        ValueError: a name that no block has, or no block is of the kind that is asked.
    """
    if question.blocks:
        return [maps.find(name) for name in question.blocks]
    heads = question.of == "keypoints"
    found = [name for name in maps.blocks if maps.is_in_roi_head(name) == heads]
    if not found:
        raise ValueError(
            f"--attention {question.of}: this model has no block in the "
            f"{'heads' if heads else 'backbone'}; name blocks of {', '.join(maps.blocks)}"
        )
    return found


def ask(
    maps: AttentionMaps, question: Question, image: int, found: Instances, metadata: Metadata
) -> list[Look]:
    """Where the blocks look from what is asked of one image.

    Args:
        maps: of the run that has found ``found``.
        question: what to ask.
        image: which one of the batch.
        found: its detections, in its pixels.
        metadata: with the names of keypoints.

    Returns:
        The looks; none where nothing was detected and a point was not asked.

    Raises:
        ValueError: a point outside of the image, or for a block of a head of every detection; an
            unknown block or joint; a model without keypoints.
    """
    blocks = choose_blocks(maps, question)
    if not isinstance(question.of, str):
        point = question.of
        k = instance_at(found, point)
        one = found[:0] if k is None else found[k]
        return [Look("point", [look_from(maps, name, point, image, one) for name in blocks])]
    looks = []
    for k in range(min(len(found), question.most)):
        one = found[k]
        points = {"centre": _centre(one)}
        if question.of == "keypoints":
            points = _joints(one, question.joints, metadata)
        for title, point in points.items():
            inside = _into(point, one.image_size)
            seen = [look_from(maps, name, inside, image, one) for name in blocks]
            figure = k if question.of == "keypoints" else 0
            looks.append(Look(f"{k + 1}: {title}", seen, figure))
    return looks


def instance_at(found: Instances, point: tuple[float, float]) -> int | None:
    """Which detection is meant by a point: of those whose boxes hold it, the smallest.

    Args:
        found: the detections, in pixels of the image.
        point: (x, y) in these pixels.

    Returns:
        Its index; None where no box holds the point.
    """
    x, y = point
    x0, y0, x1, y1 = found.pred_boxes.tensor.unbind(1)  # each (R,)
    held = ((x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)).nonzero()[:, 0].tolist()
    areas = found.pred_boxes.area().tolist()
    return min(held, key=areas.__getitem__, default=None)


def look_from(
    maps: AttentionMaps,
    name: str,
    point: tuple[float, float],
    image: int,
    one: Instances,
    pairwise: str | None = None,
) -> AttentionMap:
    """Where a block looks from a point; a block of a head in the region of a detection.

    Args:
        maps: of the run that has found it.
        name: of the block.
        point: (x, y) in pixels of the image; for a block of a head put into its region.
        image: which one of the batch.
        one: the detection alone; none, for a block of the backbone.
        pairwise: another function than the block's own; see `AttentionMaps.at`.

    Raises:
        ValueError: a block of a head and no detection; or as `AttentionMaps.at`.
    """
    if not maps.is_in_roi_head(name):
        return maps.at(name, point, image=image, pairwise=pairwise)
    if not len(one):
        raise ValueError(
            f"block {name} sees the regions of detections, and none is at ({point[0]:g}, "
            f"{point[1]:g}); give a point inside of one, or a lower threshold"
        )
    roi = find_roi(maps, name, image, one)
    x0, y0, x1, y1 = maps.rois(name, image)[roi]
    # the head finds joints on a grid of its own, which may end outside of a thin region
    inside = (min(max(point[0], x0), x1), min(max(point[1], y0), y1))
    return maps.at(name, inside, image=image, roi=roi, pairwise=pairwise)


def find_roi(maps: AttentionMaps, name: str, image: int, one: Instances) -> int:
    """Which region of a block's is a detection's; Detectron2 may have dropped others.

    Args:
        maps: of the run that has found it.
        name: of the block.
        image: which one of the batch.
        one: the detection; the first one counts.
    """
    regions = maps.rois(name, image)
    height, width = one.image_size
    clipped = np.clip(regions, 0, [width, height, width, height])
    return int(np.abs(clipped - one.pred_boxes.tensor[0].numpy()).max(1).argmin())


def _centre(one: Instances) -> tuple[float, float]:
    x, y = one.pred_boxes.get_centers()[0].tolist()
    return x, y


def _joints(
    one: Instances, wanted: Sequence[str], metadata: Metadata
) -> dict[str, tuple[float, float]]:
    if not one.has("pred_keypoints"):
        raise ValueError("--attention keypoints: this model finds none (MODEL.KEYPOINT_ON False)")
    joints = one.pred_keypoints[0]  # (K, 3)
    names = list(metadata.get("keypoint_names", None) or map(str, range(len(joints))))
    if unknown := [name for name in wanted if name not in names]:
        raise ValueError(f"--joints {' '.join(unknown)}: there are {', '.join(names)}")
    best = joints[:, 2].argsort(descending=True).tolist()[:JOINTS]
    chosen = wanted or [names[k] for k in best]
    places = {name: joints[names.index(name), :2].tolist() for name in chosen}
    return {name: (x, y) for name, (x, y) in places.items()}


def _into(point: tuple[float, float], size: tuple[int, int]) -> tuple[float, float]:
    """A found point may lie on the image's border, which is no longer inside."""
    height, width = size
    return min(max(point[0], 0.0), width - 1e-3), min(max(point[1], 0.0), height - 1e-3)
