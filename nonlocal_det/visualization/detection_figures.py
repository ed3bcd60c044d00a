"""Detections, ground truth and training images, drawn by Detectron2's Visualizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.config import CfgNode
from detectron2.data import Metadata, MetadataCatalog
from detectron2.data.detection_utils import convert_image_to_rgb
from detectron2.structures import Instances

from nonlocal_det.data import build_train_stream, import_cv2, seeded

from .figure import instance_colors, limb_color, new_figure

MIN_SIDE = 512
"""Small images are enlarged to it, else the lines cover what they outline."""


def scale_for(image: np.ndarray) -> float:
    """Return how many times an image (H, W, 3) is enlarged to be drawn on."""
    return max(1.0, MIN_SIDE / min(image.shape[:2]))


def draw_instances(image: np.ndarray, instances: Instances, metadata: Metadata) -> np.ndarray:
    """Draw boxes, masks and skeletons of an image's detections in colours for everybody.

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
    visualizer = _visualizer_class()(image, metadata, scale=scale_for(image))
    names = metadata.get("thing_classes", None)
    classes, scores = instances.pred_classes.tolist(), instances.scores.tolist()
    fields = instances.get_fields()
    masks = fields.get("pred_masks")
    visualizer.overlay_instances(
        boxes=instances.pred_boxes,
        labels=[
            f"{names[index] if names else index} {score:.0%}"
            for index, score in zip(classes, scores, strict=True)
        ],
        masks=None if masks is None else [mask.numpy().astype(np.uint8) for mask in masks],
        keypoints=fields.get("pred_keypoints"),
        assigned_colors=instance_colors(len(instances)),
        alpha=0.35,
    )
    drawn: np.ndarray = visualizer.get_output().get_image()
    return drawn


def draw_predictions(
    samples: Sequence[tuple[np.ndarray, dict[str, Any], Instances]],
    metadata: Metadata,
    path: Path,
    threshold: float = 0.5,
) -> Path:
    """Draw ground truth on the left, predictions on the right, two images a row.

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
    rows = (len(samples) + 1) // 2
    figure = new_figure(14, 3.4 * rows)
    axes = figure.subplots(rows, 4, squeeze=False).reshape(-1)
    for axis in axes:
        axis.axis("off")
    for k, (image, record, instances) in enumerate(samples):
        confident = instances[instances.scores > threshold]
        truth = _visualizer_class()(image, metadata, scale=scale_for(image))
        axes[2 * k].imshow(truth.draw_dataset_dict(record).get_image())
        axes[2 * k].set_title(f"image {record['image_id']}: ground truth", fontsize=9)
        axes[2 * k + 1].imshow(draw_instances(image, confident, metadata))
        axes[2 * k + 1].set_title(f"{len(confident)} predictions over {threshold:g}", fontsize=9)
    figure.savefig(path, dpi=110)
    return path


def draw_training_images(cfg: CfgNode, out_dir: Path, num: int) -> list[Path]:
    """Draw augmented training images with their boxes, masks and keypoints, one PNG each.

    Args:
        cfg: a whole config. The images are those with which a training with its `SEED` begins.
        out_dir: made if absent.
        num: number of images, at least 1.

    Returns:
        The files, in the order in which the loader gave the images.

    Raises:
        ValueError: `num` is below 1, or `DATASETS.TRAIN` is empty.
        ImportError: there is no OpenCV.
    """
    if num < 1:
        raise ValueError(f"num={num}; expected at least 1 image")
    if not cfg.DATASETS.TRAIN:
        raise ValueError("DATASETS.TRAIN is empty; name the data set to draw")
    import_cv2()
    metadata = MetadataCatalog.get(cfg.DATASETS.TRAIN[0])
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for batch in build_train_stream(cfg):
        for sample in batch[: num - len(paths)]:
            path = out_dir / f"{len(paths):03d}_{Path(sample['file_name']).stem}.png"
            with seeded(len(paths)):  # Detectron2's Visualizer draws its colours at random
                _draw_sample(sample, cfg.INPUT.FORMAT, metadata).save(str(path))
            paths.append(path)
        if len(paths) >= num:
            break
    return paths


def _draw_sample(sample: dict[str, Any], image_format: str, metadata: Metadata) -> Any:
    """Draw one sample of the loader as Detectron2's VisImage."""
    from detectron2.utils.visualizer import Visualizer

    # (C, H, W) -> (H, W, C)
    image = convert_image_to_rgb(sample["image"].permute(1, 2, 0).numpy(), image_format)
    fields = sample["instances"].get_fields()
    return Visualizer(image, metadata, scale=scale_for(image)).overlay_instances(
        labels=[metadata.thing_classes[index] for index in fields["gt_classes"]],
        boxes=fields["gt_boxes"],
        masks=fields.get("gt_masks"),
        keypoints=fields.get("gt_keypoints"),
        alpha=0.3,
    )


def _visualizer_class() -> Any:
    """Make Detectron2's Visualizer with another skeleton; here, since its module needs OpenCV."""
    from detectron2.utils.visualizer import Visualizer

    class SkeletonVisualizer(Visualizer):
        """Draws limbs by side and white joints, where Detectron2's are red and green."""

        def draw_and_connect_keypoints(self, keypoints: Any) -> Any:
            """Draw one skeleton (K, 3): x, y, score. Limbs with an unseen end are left out."""
            names = self.metadata.get("keypoint_names", None) or range(len(keypoints))
            visible = {
                name: (float(x), float(y))
                for name, (x, y, score) in zip(names, keypoints, strict=True)
                if score > self.keypoint_threshold
            }
            for first, second, _ in self.metadata.get("keypoint_connection_rules", None) or ():
                if first in visible and second in visible:
                    ends = zip(visible[first], visible[second], strict=True)
                    self.draw_line(*map(list, ends), color=limb_color(first, second))
            for point in visible.values():
                self.draw_circle(point, color="white", radius=2)
            return self.output

    return SkeletonVisualizer
