"""Drawn data sets: mini-COCO, the long-range levels, moving clips; made and registered by name.

Importing it needs neither OpenCV nor PyAV; only the functions that draw do.
"""

from .flash_clips import make_flash_clips
from .long_range import make_long_range
from .mini_coco import make_mini_coco
from .moving_clips import make_moving_clips
from .register import (
    register_flash_clips,
    register_long_range,
    register_mini_coco,
    register_moving_clips,
)

__all__ = [
    "make_flash_clips",
    "make_long_range",
    "make_mini_coco",
    "make_moving_clips",
    "register_flash_clips",
    "register_long_range",
    "register_mini_coco",
    "register_moving_clips",
]

# No file is read: the names exist, as Detectron2's own do, whether or not the data does.
register_mini_coco()
register_long_range()
register_moving_clips()
register_flash_clips()
