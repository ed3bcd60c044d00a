"""Data: the catalogue of the user's COCO-format data, its check, and the training's stream."""

from .coco_data import (
    CocoData,
    fill_keypoints,
    register_coco_data,
    replace_json,
)
from .coco_file import CocoFileError, forget_contents, read_coco
from .keypoint_schema import find_keypoint_schema
from .mappers import build_mapper
from .opencv import import_cv2
from .registered import check_registered, clean_unregistered
from .seeding import STEP, VALIDATION, seed_everything, seeded
from .skipping import name_of
from .stream import (
    TrainStream,
    build_test_loader,
    build_train_stream,
    build_validation_loader,
)
from .workers import ignore_signals_in_workers

__all__ = [
    "STEP",
    "CocoData",
    "CocoFileError",
    "VALIDATION",
    "TrainStream",
    "build_mapper",
    "build_test_loader",
    "build_train_stream",
    "build_validation_loader",
    "check_registered",
    "clean_unregistered",
    "fill_keypoints",
    "find_keypoint_schema",
    "forget_contents",
    "ignore_signals_in_workers",
    "import_cv2",
    "name_of",
    "read_coco",
    "register_coco_data",
    "replace_json",
    "seed_everything",
    "seeded",
]
