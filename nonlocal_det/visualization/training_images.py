"""Draw what the training loader feeds the model: the check that augmented labels fit."""

from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog, build_detection_train_loader
from detectron2.data.detection_utils import convert_image_to_rgb
from detectron2.utils.env import seed_all_rng

from nonlocal_det.data.opencv import import_cv2

# Small images are enlarged, else the lines cover what they outline.
MIN_SIDE = 512


def draw_training_images(cfg: CfgNode, out_dir: Path, num: int) -> list[Path]:
    """Draw augmented training images with their boxes, masks and keypoints, one PNG each.

    Args:
        cfg: a whole config; with `SEED` not negative the pictures are the same at each call.
            The random generators are seeded with it.
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
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DATALOADER.NUM_WORKERS = 0  # one process has one sequence of random numbers
    seed_all_rng(None if cfg.SEED < 0 else cfg.SEED)
    metadata = MetadataCatalog.get(cfg.DATASETS.TRAIN[0])
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for batch in build_detection_train_loader(cfg):
        for sample in batch[: num - len(paths)]:
            path = out_dir / f"{len(paths):03d}_{Path(sample['file_name']).stem}.png"
            _draw(sample, cfg.INPUT.FORMAT, metadata).save(str(path))
            paths.append(path)
        if len(paths) >= num:
            break
    return paths


def _draw(sample: dict[str, Any], image_format: str, metadata: Any) -> Any:
    """One sample of the loader as Detectron2's VisImage."""
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
