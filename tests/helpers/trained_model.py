"""A checkpoint of the quick model with random weights, pictures for it, and how to load them."""

from pathlib import Path

import numpy as np
import torch
from detectron2.modeling import build_model
from PIL import Image
from small_models import small_config

from nonlocal_det.inference.detector import Detector

NAME = "quick/nl_mask_keypoint_rcnn_R18"
SMALL = ["INPUT.MIN_SIZE_TEST", "64", "MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.0"]
SMALL += ["MODEL.DEVICE", "cpu", "TEST.DETECTIONS_PER_IMAGE", "5"]


def save_weights(path: Path, name: str = NAME) -> Path:
    torch.manual_seed(0)
    torch.save({"model": build_model(small_config(name)).state_dict()}, path)
    return path


def load_detector(weights: Path, *options: str) -> Detector:
    return Detector(small_config(NAME, *SMALL, *options), weights)


def save_picture(path: Path, height: int, width: int, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path
