"""Run a trained model on pictures: detections come back in the pictures' own pixels."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import Metadata, MetadataCatalog
from detectron2.data.transforms import ResizeShortestEdge
from detectron2.modeling import build_model
from detectron2.structures import Instances
from torch import nn

from nonlocal_det.checkpoint import Names, SafeCheckpointer, names_of_data
from nonlocal_det.configs import load_config
from nonlocal_det.data import forget_contents
from nonlocal_det.data.user_data import add_user_data
from nonlocal_det.named_outputs import named_keys

logger = logging.getLogger("nonlocal_det")


def load_model_config(args: argparse.Namespace) -> CfgNode:
    """Load the config of a trained model, whose data need not be there.

    Args:
        args: of `build_config_parser`.

    Raises:
        FileNotFoundError: no such config.
        ValueError: an unknown key or value.
    """
    options = list(args.opts or [])
    cfg = load_config(args.config_file, options)
    add_user_data(cfg, args, given=options[::2])
    forget_contents()
    cfg.freeze()
    return cfg


class Detector:
    """A model of a config with the weights of a file, as data: nothing in it is executed.

    Args:
        cfg: of the model; not changed.
        weights: the file; None: that of a finished training, ``OUTPUT_DIR/model_final.pth``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or of another model; says what differs. Or the config is of a
            video model.
    """

    def __init__(self, cfg: CfgNode, weights: Path | None = None) -> None:
        if cfg.MODEL.META_ARCHITECTURE == "VideoClassifier":
            raise ValueError(
                "the config is of a video model, which finds no objects; use classify_video.py, "
                "with --query for where its blocks attend"
            )
        path = weights or Path(cfg.OUTPUT_DIR) / "model_final.pth"
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no such file of weights; give --weights, or train first (make quickstart)"
            )
        self.cfg = cfg
        self.model = build_model(cfg).eval()
        data = cfg.DATASETS.TEST[:1]
        checkpointer = SafeCheckpointer(self.model, names=names_of_data(data))
        checkpointer.load(str(path))
        report = checkpointer.report
        if report is not None and not report.fits():
            raise ValueError(
                f"{path} is of another model: {report.difference()}; give the --config-file that "
                "it was trained with"
            )
        metadata = MetadataCatalog.get(data[0]) if data else Metadata()
        self.metadata = _metadata(self.model, metadata, checkpointer.loaded_names)
        self.names: Names = {
            key: list(self.metadata.get(key))
            for key in named_keys(self.model)
            if self.metadata.get(key, None)
        }
        sides = [cfg.INPUT.MIN_SIZE_TEST] * 2
        self._resize = ResizeShortestEdge(sides, cfg.INPUT.MAX_SIZE_TEST)

    @torch.no_grad()
    def __call__(self, images: Sequence[np.ndarray], threshold: float = 0.0) -> list[Instances]:
        """Detect in a batch of images.

        Args:
            images: RGB pixels (H, W, 3), uint8, each of its own size.
            threshold: detections with a lower score are left out.

        Returns:
            For each image its detections on the CPU, in its pixels, the best score first.
        """
        if not images:
            return []
        outputs = self.model([self.prepare(image) for image in images])
        predictions = [output["instances"].to("cpu") for output in outputs]
        return [instances[instances.scores >= threshold] for instances in predictions]

    def prepare(self, image: np.ndarray) -> dict[str, Any]:
        """Make the model's input of RGB pixels (H, W, 3): resized, in its order of channels."""
        order = image[:, :, ::-1] if self.cfg.INPUT.FORMAT == "BGR" else image
        resized = self._resize.get_transform(order).apply_image(np.ascontiguousarray(order))
        pixels = torch.as_tensor(np.ascontiguousarray(resized.transpose(2, 0, 1)))  # (C, H, W)
        return {"image": pixels, "height": image.shape[0], "width": image.shape[1]}


def _metadata(model: nn.Module, data: Metadata, weights: Names) -> Metadata:
    """Return the names that a model's classes and keypoints are shown with.

    The data's where the weights have the same or none, else those of the weights. The data's are
    left out where their number is not the model's: the weights are then of other data.
    """
    known = {key: value for key, value in data.as_dict().items() if key != "name"}
    if any(sorted(known.get(key) or names) != sorted(names) for key, names in weights.items()):
        known = {"image_root": known.get("image_root")}
    known = {**weights, **known}
    heads: Any = getattr(model, "roi_heads", model)
    counts = {"thing_classes": getattr(heads, "num_classes", None)}
    if getattr(heads, "keypoint_on", False):
        counts["keypoint_names"] = heads.keypoint_head.score_lowres.out_channels
    for key, count in counts.items():
        names = known.get(key)
        if names and count and len(names) != count:
            logger.warning(
                f"{data.get('name')} has {len(names)} {key}, the model {count}: they "
                "are shown as numbers; give weights that have their names, or the data they were "
                "trained with by --coco-data and DATASETS.TEST"
            )
            known = {k: value for k, value in known.items() if not k.startswith(key.split("_")[0])}
    return Metadata().set(**known)
