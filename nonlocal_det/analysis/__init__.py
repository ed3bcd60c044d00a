"""What a model costs, counted without data, and how far it can see."""

from .detector_costs import Setting, detector_costs
from .module_costs import Cost, ModelCosts, build_on_meta, layer_cost
from .reach import Reach, detection_reach
from .receptive_field import ReceptiveField, receptive_fields
from .video_costs import VideoCosts, Views, video_costs

__all__ = [
    "Cost",
    "ModelCosts",
    "Reach",
    "ReceptiveField",
    "Setting",
    "VideoCosts",
    "Views",
    "build_on_meta",
    "detection_reach",
    "detector_costs",
    "layer_cost",
    "receptive_fields",
    "video_costs",
]
