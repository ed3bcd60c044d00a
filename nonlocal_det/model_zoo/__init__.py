"""The configs by name, from a checkout or from an installed wheel, and the zoo's rows as data."""

from .configs import config_names, find_config, get_config, get_config_file

__all__ = ["config_names", "find_config", "get_config", "get_config_file"]
