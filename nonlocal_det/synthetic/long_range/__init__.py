"""Drawn data whose objects can only be told by what lies far away from them."""

from .figure import LIMB_JOINTS
from .make import draw_image, make_long_range
from .recipe import CATEGORIES, LEVELS, SPLITS, VERSIONS, Recipe
from .sets import DATA_SETS, find_set, split_name

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
