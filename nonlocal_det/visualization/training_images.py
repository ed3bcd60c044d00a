"""Draw what the training loader feeds the model: the check that augmented labels fit."""

from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.data.detection_utils import convert_image_to_rgb

from nonlocal_det.data import build_train_stream, import_cv2, seeded

MIN_SIDE = 512
"""Smaller images are enlarged, else the lines cover what they outline."""


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
    import_cv2()  # Detectron2's Visualizer needs it
    metadata = MetadataCatalog.get(cfg.DATASETS.TRAIN[0])
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for batch in build_train_stream(cfg):
        for sample in batch[: num - len(paths)]:
            path = out_dir / f"{len(paths):03d}_{Path(sample['file_name']).stem}.png"
            with seeded(len(paths)):  # Detectron2's Visualizer draws its colours at random
                _draw(sample, cfg.INPUT.FORMAT, metadata).save(str(path))
            paths.append(path)
        if len(paths) >= num:
            break
    return paths


def _draw(sample: dict[str, Any], image_format: str, metadata: Any) -> Any:
    """Draw one sample of the loader as Detectron2's VisImage."""
    from detectron2.utils.visualizer import Visualizer  # imports cv2

    # (C, H, W) -> (H, W, C)
    image = convert_image_to_rgb(sample["image"].permute(1, 2, 0).numpy(), image_format)
    scale = max(1.0, MIN_SIDE / min(image.shape[:2]))
    fields = sample["instances"].get_fields()
    return Visualizer(image, metadata=metadata, scale=scale).overlay_instances(
        labels=[metadata.thing_classes[index] for index in fields["gt_classes"]],
        boxes=fields["gt_boxes"],
        masks=fields.get("gt_masks"),
        keypoints=fields.get("gt_keypoints"),
        alpha=0.3,
    )
