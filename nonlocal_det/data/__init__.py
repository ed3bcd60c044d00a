"""Data: drawn data sets, one's own COCO-format data, pictures of both, the training's stream.

Importing it needs no OpenCV; only the functions that draw do.
"""

from .chance import STEP, seed_everything, seeded
from .coco_data import (
    CocoData,
    completes_keypoints,
    fill_keypoints,
    register_coco_data,
    replace_json,
)
from .draw import draw_training_images
from .keypoint_schema import find_keypoint_schema
from .lazy import strict_test_loader, train_stream
from .long_range import make_long_range
from .mini_coco import make_mini_coco
from .opencv import import_cv2
from .prepare import check_registered, clean_own_data
from .register import register_long_range, register_mini_coco
from .skipping import StrictMapper
from .stream import TrainStream, build_train_stream
from .workers import shielded

__all__ = [
    "STEP",
    "CocoData",
    "StrictMapper",
    "TrainStream",
    "build_train_stream",
    "check_registered",
    "clean_own_data",
    "completes_keypoints",
    "draw_training_images",
    "fill_keypoints",
    "find_keypoint_schema",
    "import_cv2",
    "make_long_range",
    "make_mini_coco",
    "register_coco_data",
    "register_long_range",
    "register_mini_coco",
    "seed_everything",
    "seeded",
    "shielded",
    "strict_test_loader",
    "train_stream",
    "replace_json",
]

# No file is read: the names exist, as Detectron2's own do, whether or not the data does.
register_mini_coco()
register_long_range()
