"""Weights of other projects, as ours: pure functions from dictionaries to dictionaries."""

from .conversion import Choices, Conversion, Row, Source
from .convert import convert_state
from .fit import block_norm, check_fit
from .sources import SOURCES
from .twins import to_baseline, to_twin

__all__ = [
    "SOURCES",
    "Choices",
    "Conversion",
    "Row",
    "Source",
    "block_norm",
    "check_fit",
    "convert_state",
    "to_baseline",
    "to_twin",
]
