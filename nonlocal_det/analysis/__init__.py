"""What a model costs, counted without data, and how far it can see."""

from .module_costs import Cost, layer_cost
from .reach import Reach, detection_reach
from .receptive_field import ReceptiveField, receptive_fields
from .report import Report, analyze
from .variants import analyze_variants

__all__ = [
    "Cost",
    "Reach",
    "ReceptiveField",
    "Report",
    "analyze",
    "analyze_variants",
    "detection_reach",
    "layer_cost",
    "receptive_fields",
]
