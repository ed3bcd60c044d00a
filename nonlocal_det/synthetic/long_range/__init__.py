"""Drawn data whose objects can only be told by what lies far away from them."""

from .make import draw_image, make_long_range
from .pose_level import LIMB_JOINTS
from .recipe import (
    CATEGORIES,
    DATA_SETS,
    LEVELS,
    SPLITS,
    VERSIONS,
    Recipe,
    find_set,
    split_name,
)

__all__ = [
    "CATEGORIES",
    "DATA_SETS",
    "LEVELS",
    "LIMB_JOINTS",
    "SPLITS",
    "VERSIONS",
    "Recipe",
    "draw_image",
    "find_set",
    "make_long_range",
    "split_name",
]
