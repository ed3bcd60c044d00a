"""Data: the catalogue of the user's COCO-format data and the training's stream."""

from .coco_data import (
    CocoData,
    completes_keypoints,
    fill_keypoints,
    register_coco_data,
    replace_json,
)
from .keypoint_schema import find_keypoint_schema
from .lazy import strict_test_loader, train_stream
from .opencv import import_cv2
from .prepare import check_registered, clean_own_data
from .seeding import STEP, seed_everything, seeded
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
    "fill_keypoints",
    "find_keypoint_schema",
    "import_cv2",
    "register_coco_data",
    "seed_everything",
    "seeded",
    "shielded",
    "strict_test_loader",
    "train_stream",
    "replace_json",
]
