"""Pictures of what a model does: predictions, losses, and where its non-local blocks look."""

from .accuracy import Curve, draw_accuracy
from .attention import record_inputs
from .figures import draw_attention, draw_losses, draw_predictions, read_metrics
from .looks import Look, draw_looks

__all__ = [
    "Curve",
    "Look",
    "draw_accuracy",
    "draw_attention",
    "draw_looks",
    "draw_losses",
    "draw_predictions",
    "read_metrics",
    "record_inputs",
]
