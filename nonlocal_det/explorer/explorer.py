"""What the page asks of the models, without the page: pictures, detections, looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from detectron2.data import Metadata
from detectron2.structures import Instances

from nonlocal_det.inference.attention_queries import instance_at, map_at
from nonlocal_det.inference.sources import read_picture
from nonlocal_det.visualization import (
    STYLES,
    TOP_K,
    AttentionMap,
    AttentionMaps,
    draw_instances,
    record_attention,
)

from .models import ExplorerModel
from .uploads import UploadLimits, fit_picture

SNAP = 0.025
"""A click so near to a joint means the joint; of the picture's longer side."""

SEEN_JOINT = 0.05
"""Joints that score less are not drawn, by Detectron2's Visualizer, and so cannot be meant."""


@dataclass(frozen=True)
class Pick:
    """What a click means.

    Attributes:
        point: (x, y) in pixels of the picture: the joint, if one was meant.
        title: in words, as the joint's name.
        instance: the detection in whose region heads are asked; None: there is none.
    """

    point: tuple[float, float]
    title: str = "point"
    instance: int | None = None


@dataclass(frozen=True)
class LookOptions:
    """Of the pictures of looks.

    Attributes:
        hidden: full names of blocks that are left out.
        styles: of `STYLES`.
        top_k: arrows of a query.
        pairwise: another function of the blocks' theta and phi; None: their own.
    """

    hidden: frozenset[str] = frozenset()
    styles: tuple[str, ...] = STYLES
    top_k: int = TOP_K
    pairwise: str | None = None


@dataclass(frozen=True)
class Seen:
    """What a model has made of a picture.

    Attributes:
        model: which one.
        image: RGB pixels (H, W, 3).
        found: all its detections, in pixels of the image.
        maps: where its blocks look; None: it has none.
    """

    model: ExplorerModel
    image: np.ndarray
    found: Instances
    maps: AttentionMaps | None

    def over(self, threshold: float) -> Instances:
        """The detections that score at least so much."""
        return self.found[self.found.scores >= threshold]

    def draw(self, threshold: float) -> np.ndarray:
        """The picture with boxes, masks and skeletons; see `draw_instances`."""
        return draw_instances(self.image, self.over(threshold), self.model.detector.metadata)

    def pick(self, point: tuple[float, float], threshold: float, *, snap: bool = True) -> Pick:
        """What a click on the picture means: the joint nearby, else the point itself.

        Args:
            point: (x, y) in pixels of the picture; put into it.
            threshold: detections with a lower score are not drawn, and so not meant.
            snap: whether a joint may be meant.
        """
        height, width = self.image.shape[:2]
        x, y = min(max(point[0], 0.0), width - 1e-3), min(max(point[1], 0.0), height - 1e-3)
        found = self.over(threshold)
        joint = _joint_at(found, (x, y), self.model.detector.metadata) if snap else None
        return joint or Pick((x, y), f"({x:.0f}, {y:.0f})", instance_at(found, (x, y)))

    def look(self, pick: Pick, threshold: float, options: LookOptions) -> list[AttentionMap]:
        """Where each block that can be asked looks from there.

        Args:
            pick: of this picture; for blocks of a head, its instance.
            threshold: that it was made with.
            options: see there.

        Returns:
            A map for each block of the backbone, and of the heads if an instance is meant.

        Raises:
            ValueError: a block cannot be asked for another function.
        """
        if self.maps is None:
            return []
        found = self.over(threshold)
        one = found[:0] if pick.instance is None else found[pick.instance]
        return [
            map_at(self.maps, name, pick.point, 0, one, options.pairwise)
            for name in self.maps.blocks
            if name not in options.hidden and (len(one) or not self.maps.is_in_roi_head(name))
        ]


class Explorer:
    """Models and pictures, which all visitors share.

    Args:
        models: at least one.
        images: files to choose from.
        limits: of pictures.

    Attributes:
        lock: held by whoever runs or draws: hooks see whatever goes through a model, and matplotlib
            is not made for threads.

    Raises:
        ValueError: no models.
    """

    def __init__(
        self,
        models: Sequence[ExplorerModel],
        images: Sequence[Path] = (),
        limits: UploadLimits | None = None,
    ) -> None:
        if not models:
            raise ValueError("no model to explore; give at least one")
        self.models, self.images = tuple(models), tuple(images)
        self.limits = limits or UploadLimits()
        self.lock = Lock()

    def read(self, index: int) -> np.ndarray:
        """The pixels of an image to choose from; see `fit_picture`.

        Raises:
            FileNotFoundError: it is gone.
            ValueError: it cannot be read.
        """
        path = self.images[index]
        return fit_picture(read_picture(path, self.limits.max_pixels), path.name)

    def see(self, model: ExplorerModel, image: np.ndarray) -> Seen:
        """Run a model on RGB pixels (H, W, 3), uint8, and keep where its blocks look."""
        if not model.blocks:
            return Seen(model, image, model.detector([image])[0], None)
        with record_attention(model.detector.model) as maps:
            (found,) = model.detector([image])
        return Seen(model, image, found, maps)


def _joint_at(found: Instances, point: tuple[float, float], metadata: Metadata) -> Pick | None:
    if not len(found) or not found.has("pred_keypoints"):
        return None
    joints = found.pred_keypoints.numpy()  # (R, K, 3)
    distances = np.hypot(joints[:, :, 0] - point[0], joints[:, :, 1] - point[1])  # (R, K)
    distances[joints[:, :, 2] <= SEEN_JOINT] = np.inf
    instance, joint = np.unravel_index(distances.argmin(), distances.shape)
    if distances[instance, joint] > SNAP * max(found.image_size):
        return None
    names = metadata.get("keypoint_names", None) or [str(k) for k in range(joints.shape[1])]
    height, width = found.image_size
    x, y, _ = joints[instance, joint].tolist()
    inside = (min(max(x, 0.0), width - 1e-3), min(max(y, 0.0), height - 1e-3))
    return Pick(inside, f"{int(instance) + 1}: {names[joint]}", int(instance))
