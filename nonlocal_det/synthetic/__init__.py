"""Drawn data sets: mini-COCO and the long-range levels, made and registered by name.

Importing it needs no OpenCV; only the functions that draw do.
"""

from .long_range import make_long_range
from .mini_coco import make_mini_coco
from .register import register_long_range, register_mini_coco

__all__ = ["make_long_range", "make_mini_coco", "register_long_range", "register_mini_coco"]

# No file is read: the names exist, as Detectron2's own do, whether or not the data does.
register_mini_coco()
register_long_range()
