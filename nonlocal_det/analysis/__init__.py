"""What a model costs, counted without data, and how far it can see."""

from .detector_costs import DetectorCosts, Setting, detector_costs
from .module_costs import Cost, layer_cost
from .reach import Reach, detection_reach
from .receptive_field import ReceptiveField, receptive_fields

__all__ = [
    "Cost",
    "DetectorCosts",
    "Reach",
    "ReceptiveField",
    "Setting",
    "detection_reach",
    "detector_costs",
    "layer_cost",
    "receptive_fields",
]
