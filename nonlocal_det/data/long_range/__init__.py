"""Drawn data whose objects can only be told by what lies far away from them."""

from .figure import LIMB_JOINTS
from .make import draw_image, make_long_range
from .recipe import LEVELS, SPLITS, Recipe
from .records import CATEGORIES

__all__ = [
    "CATEGORIES",
    "LEVELS",
    "LIMB_JOINTS",
    "SPLITS",
    "Recipe",
    "draw_image",
    "make_long_range",
]
