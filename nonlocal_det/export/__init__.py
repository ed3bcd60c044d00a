"""Models out: TorchScript, ONNX and plain weights, each checked before it is kept."""

from .check import Comparison, compare, eager_outputs
from .clips import ClipGraph
from .export import Exported, export_model, find_format
from .formats import FORMATS, OPSET, Format
from .graph import DetectionGraph, to_instances

__all__ = [
    "FORMATS",
    "OPSET",
    "ClipGraph",
    "Comparison",
    "DetectionGraph",
    "Exported",
    "Format",
    "compare",
    "eager_outputs",
    "export_model",
    "find_format",
    "to_instances",
]
