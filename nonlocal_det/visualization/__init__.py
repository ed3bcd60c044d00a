"""Pictures of what a model does: predictions, losses, and where its non-local blocks look."""

from .attention import record_inputs
from .figures import draw_attention, draw_losses, draw_predictions, read_metrics
from .maps import AttentionMap
from .placement import Placement
from .recorded import AttentionMaps
from .recorder import record_attention

__all__ = [
    "AttentionMap",
    "AttentionMaps",
    "Placement",
    "draw_attention",
    "draw_losses",
    "draw_predictions",
    "read_metrics",
    "record_attention",
    "record_inputs",
]
