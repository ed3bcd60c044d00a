"""Models out: TorchScript, ONNX, torch.export and plain weights, each checked before it is kept."""

from .check import Comparison, compare
from .eager import eager_outputs
from .export import Exported, export_model, find_format
from .formats import FORMATS, OPSET, Format
from .graph import DetectionGraph
from .instances import to_instances
from .status import MODELS, REASONS, STATUS, status_table

__all__ = [
    "FORMATS",
    "MODELS",
    "OPSET",
    "REASONS",
    "STATUS",
    "Comparison",
    "DetectionGraph",
    "Exported",
    "Format",
    "compare",
    "eager_outputs",
    "export_model",
    "find_format",
    "status_table",
    "to_instances",
]
