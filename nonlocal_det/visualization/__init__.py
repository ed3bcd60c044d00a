"""Pictures of what a model does: detections, losses, and where its non-local blocks attend."""

from .attention_figures import (
    STYLES,
    TOP_K,
    attention_figure,
    draw_attention,
    draw_summary,
    paint_arrows,
    paint_heat,
    short_name,
)
from .attention_maps import (
    CLIP_STATISTICS,
    PLACES,
    STATISTICS,
    AttentionMap,
    describe_map,
    query_independence,
)
from .attention_recorder import AttentionMaps, record_attention
from .clip_figures import (
    clip_attention_figure,
    clip_attention_frames,
    draw_clips,
    draw_over_time,
)
from .curves import Curve, draw_accuracy, draw_losses, read_metrics
from .detection_figures import draw_instances, draw_predictions, draw_training_images
from .figure import new_figure
from .placement import Placement

__all__ = [
    "AttentionMap",
    "AttentionMaps",
    "CLIP_STATISTICS",
    "Curve",
    "PLACES",
    "Placement",
    "STATISTICS",
    "STYLES",
    "TOP_K",
    "attention_figure",
    "clip_attention_figure",
    "clip_attention_frames",
    "describe_map",
    "draw_accuracy",
    "draw_attention",
    "draw_clips",
    "draw_instances",
    "draw_losses",
    "draw_over_time",
    "draw_predictions",
    "draw_summary",
    "draw_training_images",
    "new_figure",
    "paint_arrows",
    "paint_heat",
    "query_independence",
    "read_metrics",
    "record_attention",
    "short_name",
]
