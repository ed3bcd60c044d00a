"""Detections over an image, by Detectron2's Visualizer in colours that everybody can tell apart."""

from typing import Any

import numpy as np
from detectron2.data import Metadata
from detectron2.structures import Instances

from nonlocal_det.data import import_cv2

from .palette import instance_colors, limb_color

MIN_SIDE = 512
"""Small images are enlarged to it, else the lines cover what they outline."""


def scale_for(image_size: tuple[int, int]) -> float:
    """How many times an image of so many pixels is enlarged to be drawn on."""
    return max(1.0, MIN_SIDE / min(image_size))


def draw_instances(image: np.ndarray, instances: Instances, metadata: Metadata) -> np.ndarray:
    """Boxes, masks and skeletons of an image's detections.

    Args:
        image: RGB pixels (H, W, 3), uint8.
        instances: on the CPU, in pixels of ``image``; all of them are drawn.
        metadata: class names, and of keypoints the names and connection rules; without class names
            the labels are numbers.

    Returns:
        RGB pixels, uint8, `scale_for` times as large.

    Raises:
        ImportError: there is no OpenCV, which Detectron2's Visualizer needs.
    """
    import_cv2()
    visualizer = _visualizer_class()(image, metadata, scale=scale_for(image.shape[:2]))
    names = metadata.get("thing_classes", None)
    labels = [
        f"{names[kind] if names else kind} {score:.0%}"
        for kind, score in zip(
            instances.pred_classes.tolist(), instances.scores.tolist(), strict=True
        )
    ]
    fields = instances.get_fields()
    masks = fields.get("pred_masks")
    visualizer.overlay_instances(
        boxes=instances.pred_boxes,
        labels=labels,
        masks=None if masks is None else [mask.numpy().astype(np.uint8) for mask in masks],
        keypoints=fields.get("pred_keypoints"),
        assigned_colors=instance_colors(len(instances)),
        alpha=0.35,
    )
    drawn: np.ndarray = visualizer.get_output().get_image()
    return drawn


def _visualizer_class() -> Any:
    """Detectron2's, but for the skeleton; made here, since its module needs OpenCV."""
    from detectron2.utils.visualizer import Visualizer

    class SafeColors(Visualizer):
        """Limbs by side and white joints, where Detectron2's are red and green."""

        def draw_and_connect_keypoints(self, keypoints: Any) -> Any:
            """One skeleton (K, 3): x, y, score. Limbs with an unseen end are left out."""
            names = self.metadata.get("keypoint_names", None) or range(len(keypoints))
            seen = {
                name: (float(x), float(y))
                for name, (x, y, score) in zip(names, keypoints, strict=True)
                if score > self.keypoint_threshold
            }
            for first, second, _ in self.metadata.get("keypoint_connection_rules", None) or ():
                if first in seen and second in seen:
                    ends = zip(seen[first], seen[second], strict=True)
                    self.draw_line(*map(list, ends), color=limb_color(first, second))
            for point in seen.values():
                self.draw_circle(point, color="white", radius=2)
            return self.output

    return SafeColors
