"""What the blocks cost: time and memory, measured against the forms that others use."""

from .benchmark import Case, compare, measure_apart
from .peers import IMPLEMENTATIONS, build, check_equal

__all__ = ["IMPLEMENTATIONS", "Case", "build", "check_equal", "compare", "measure_apart"]
