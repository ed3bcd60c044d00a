"""Pictures of what a model does: predictions, losses, and where its non-local blocks look."""

from .attention import record_inputs
from .figures import draw_attention, draw_losses, draw_predictions, read_metrics

__all__ = [
    "draw_attention",
    "draw_losses",
    "draw_predictions",
    "read_metrics",
    "record_inputs",
]
