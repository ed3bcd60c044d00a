"""What the page needs of the models: pictures, predictions, and attention at a click."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
from detectron2.data import Metadata
from detectron2.structures import Instances

from nonlocal_det.inference.attention_queries import Point, clip_point, instance_at, map_at
from nonlocal_det.inference.clip_classifier import ClipClassifier
from nonlocal_det.inference.detector import Detector
from nonlocal_det.inference.sources import read_picture
from nonlocal_det.layers import NonLocal, nonlocal_blocks
from nonlocal_det.visualization import (
    STYLES,
    TOP_K,
    AttentionMap,
    AttentionMaps,
    draw_instances,
    record_attention,
)

from .figures import png_of_maps
from .uploads import UploadLimits, fit_picture

SNAP = 0.025
"""A click this near to a joint means the joint; a share of the picture's longer side."""

SEEN_JOINT = 0.05
"""Joints with a lower score are not drawn by Detectron2's Visualizer, and cannot be clicked."""


@dataclass(frozen=True)
class ExplorerModel:
    """A trained model under the name of its config."""

    name: str
    detector: Detector

    @cached_property
    def blocks(self) -> dict[str, str]:
        """The full names of its blocks, and what each computes: ``embedded_gaussian``."""
        return {
            name: block.pairwise if isinstance(block, NonLocal) else type(block).__name__
            for name, block in nonlocal_blocks(self.detector.model).items()
        }


@dataclass(frozen=True)
class VideoModel:
    """A trained video model under the name of its config."""

    name: str
    classifier: ClipClassifier


@dataclass(frozen=True)
class Pick:
    """What a click means."""

    point: Point  # (x, y) in pixels of the picture: the joint, if one was meant
    title: str = "point"  # in words, as the joint's name
    instance: int | None = None  # index of the detection in whose region heads are read


@dataclass(frozen=True)
class MapOptions:
    """Which attention maps are drawn, and how."""

    hidden: frozenset[str] = frozenset()  # full names of blocks that are left out
    styles: tuple[str, ...] = STYLES
    top_k: int = TOP_K  # arrows of a query
    pairwise: str | None = None  # another function of theta and phi than the blocks' own


@dataclass(frozen=True)
class Prediction:
    """A model's output for a picture."""

    model: ExplorerModel
    image: np.ndarray  # RGB pixels (H, W, 3)
    instances: Instances  # all its detections, in pixels of the image
    maps: AttentionMaps | None  # None: the model has no block

    def above(self, threshold: float) -> Instances:
        """Return the detections that score at least ``threshold``."""
        return self.instances[self.instances.scores >= threshold]

    def draw(self, threshold: float) -> np.ndarray:
        """Draw boxes, masks and skeletons; see `draw_instances`."""
        return draw_instances(self.image, self.above(threshold), self.model.detector.metadata)

    def describe(self, threshold: float) -> str:
        """Describe in words what was detected, and the functions of the blocks."""
        count, (height, width) = len(self.above(threshold)), self.image.shape[:2]
        functions = ", ".join(dict.fromkeys(self.model.blocks.values()))
        blocks = f"blocks: {functions}" if functions else "no non-local block: it looks nowhere"
        return f"{count} detection{'s' * (count != 1)} in {width} x {height} pixels; {blocks}"

    def pick(self, point: Point, threshold: float, *, snap: bool = True) -> Pick:
        """Find what a click on the picture means: the joint nearby, else the point itself.

        Args:
            point: (x, y) in pixels of the picture; moved into it.
            threshold: detections with a lower score are not drawn, and cannot be clicked.
            snap: whether a joint may be meant.
        """
        point = clip_point(point, (self.image.shape[0], self.image.shape[1]))
        instances = self.above(threshold)
        joint = _joint_at(instances, point, self.model.detector.metadata) if snap else None
        title = f"({point[0]:.0f}, {point[1]:.0f})"
        return joint or Pick(point, title, instance_at(instances, point))

    def attention_at(self, pick: Pick, threshold: float, options: MapOptions) -> list[AttentionMap]:
        """Return a map for each block of the backbone, and of the heads if an instance is meant.

        Raises:
            ValueError: a block cannot compute the other function.
        """
        if self.maps is None:
            return []
        instances = self.above(threshold)
        instance = instances[:0] if pick.instance is None else instances[pick.instance]
        return [
            map_at(self.maps, name, pick.point, 0, instance, options.pairwise)
            for name in self.maps.blocks
            if name not in options.hidden and (len(instance) or not self.maps.is_in_roi_head(name))
        ]


@dataclass(frozen=True)
class ClickAttention:
    """The attention of each model from what was clicked."""

    pick: Pick  # what was meant, on the picture that was clicked
    title: str  # the same in words, and the function if it is another one
    maps: list[list[AttentionMap]]  # for each model a map for each of its blocks, if it has any
    pngs: list[list[bytes]]  # these as pictures


def attention_of_click(
    predictions: Sequence[Prediction],
    clicked: Prediction,
    point: Point,
    threshold: float,
    options: MapOptions,
) -> ClickAttention:
    """Read and draw the attention of all models; a joint of the clicked one is a point for others.

    Args:
        predictions: the models' of the same picture.
        clicked: one of them.
        point: (x, y) in pixels of the picture.
        threshold: detections with a lower score are not shown.
        options: which blocks, and how.

    Raises:
        ValueError: a block cannot compute the other function.
    """
    pick = clicked.pick(point, threshold)
    maps, pngs = [], []
    for prediction in predictions:
        is_clicked = prediction is clicked
        here = pick if is_clicked else prediction.pick(pick.point, threshold, snap=False)
        found = prediction.attention_at(here, threshold, options)
        maps.append(found)
        image, styles, top_k = prediction.image, options.styles, options.top_k
        pngs.append([png_of_maps(image, [attention], styles, top_k) for attention in found])
    title = pick.title + (f", if {options.pairwise}" if options.pairwise else "")
    return ClickAttention(pick, title, maps, pngs)


class Explorer:
    """Models, at least one, and files to choose from, which all visitors share.

    Attributes:
        lock: held while a model runs or a picture is drawn: hooks see all that goes through a
            model, and matplotlib is not thread-safe.

    Raises:
        ValueError: ``models`` is empty.
    """

    def __init__(
        self,
        models: Sequence[ExplorerModel | VideoModel],
        images: Sequence[Path] = (),
        limits: UploadLimits | None = None,
        videos: Sequence[Path] = (),
    ) -> None:
        if not models:
            raise ValueError("no model to explore; give at least one")
        self.models = tuple(model for model in models if isinstance(model, ExplorerModel))
        self.video_models = tuple(model for model in models if isinstance(model, VideoModel))
        self.images, self.videos = tuple(images), tuple(videos)
        self.limits = limits or UploadLimits()
        self.lock = Lock()

    def read(self, index: int) -> np.ndarray:
        """Read the pixels of an image to choose from; see `fit_picture`.

        Raises:
            FileNotFoundError: it is gone.
            ValueError: it cannot be read.
        """
        path = self.images[index]
        return fit_picture(read_picture(path, self.limits.max_pixels), path.name)

    def predict(self, model: ExplorerModel, image: np.ndarray) -> Prediction:
        """Run a model on RGB pixels (H, W, 3), uint8; record the attention of its blocks."""
        if not model.blocks:
            return Prediction(model, image, model.detector([image])[0], None)
        with record_attention(model.detector.model) as maps:
            (instances,) = model.detector([image])
        return Prediction(model, image, instances, maps)


def _joint_at(instances: Instances, point: Point, metadata: Metadata) -> Pick | None:
    """Find the nearest joint that is drawn, if it is near enough."""
    if not len(instances) or not instances.has("pred_keypoints"):
        return None
    joints = instances.pred_keypoints.numpy()  # (R, K, 3)
    distances = np.hypot(joints[:, :, 0] - point[0], joints[:, :, 1] - point[1])  # (R, K)
    distances[joints[:, :, 2] <= SEEN_JOINT] = np.inf
    instance, joint = np.unravel_index(distances.argmin(), distances.shape)
    if distances[instance, joint] > SNAP * max(instances.image_size):
        return None
    names = metadata.get("keypoint_names", None) or [str(k) for k in range(joints.shape[1])]
    inside = clip_point(joints[instance, joint, :2].tolist(), instances.image_size)
    return Pick(inside, f"{int(instance) + 1}: {names[joint]}", int(instance))
