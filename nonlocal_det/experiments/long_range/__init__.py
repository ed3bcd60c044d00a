"""The long-range benchmark around a training: its data for a backbone, and its figures."""

from .data import field_of_config, make_long_range_for, prepare_long_range, reach_of_config
from .figures import draw_long_range
from .looks import find_query
from .model_pairs import find_comparisons, read_suite, same_data

__all__ = [
    "draw_long_range",
    "field_of_config",
    "find_comparisons",
    "find_query",
    "make_long_range_for",
    "prepare_long_range",
    "reach_of_config",
    "read_suite",
    "same_data",
]
