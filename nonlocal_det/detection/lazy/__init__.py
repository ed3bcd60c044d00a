"""A YAML config's model as LazyConfig nodes, and what those nodes call."""

from .backbone import last_level_max_pool, make_block, resnet_stages
from .model import lazy_model
from .reading import ReadConfig

__all__ = ["ReadConfig", "last_level_max_pool", "lazy_model", "make_block", "resnet_stages"]
