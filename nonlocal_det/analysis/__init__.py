"""What models cost: operations and memory counted, time and memory measured against others."""

from .benchmark import Case, compare, measure_apart
from .module_costs import Cost, layer_cost
from .peers import IMPLEMENTATIONS, build, check_equal
from .reach import Reach, detection_reach
from .receptive_field import ReceptiveField, receptive_fields
from .report import Report, analyze
from .variants import analyze_variants

__all__ = [
    "IMPLEMENTATIONS",
    "Case",
    "Cost",
    "Reach",
    "ReceptiveField",
    "Report",
    "analyze",
    "analyze_variants",
    "build",
    "check_equal",
    "compare",
    "detection_reach",
    "layer_cost",
    "measure_apart",
    "receptive_fields",
]
