"""The configs by name, from a checkout or from a wheel; the zoo's rows as data, and its models."""

from nonlocal_det.checkpoint import load_weights
from nonlocal_det.configs import config_names, find_config
from nonlocal_det.configs import find_config as get_config_file
from nonlocal_det.configs import load_config as get_config

from .models import get
from .rows import get_row

__all__ = [
    "config_names",
    "find_config",
    "get",
    "get_config",
    "get_config_file",
    "get_row",
    "load_weights",
]
