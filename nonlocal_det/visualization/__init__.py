"""Pictures of what a model does: predictions, losses, and where its non-local blocks look."""

from .accuracy import Curve, draw_accuracy
from .coco import CocoDetections
from .figures import (
    draw_losses,
    draw_predictions,
    new_figure,
    read_metrics,
)
from .instances import draw_instances
from .look_figures import STYLES, TOP_K, draw_looks, figure_of_looks, paint_arrows, paint_heat
from .maps import AttentionMap
from .placement import Placement
from .recorded import AttentionMaps
from .recorder import record_attention
from .sources import (
    VideoFile,
    decode_picture,
    find_images,
    frame_rate,
    read_frames,
    read_picture,
)
from .statistics import PLACES, STATISTICS, describe_map, query_independence
from .summary_figures import draw_summary

__all__ = [
    "AttentionMap",
    "AttentionMaps",
    "CocoDetections",
    "Curve",
    "PLACES",
    "Placement",
    "STATISTICS",
    "STYLES",
    "TOP_K",
    "VideoFile",
    "decode_picture",
    "describe_map",
    "draw_accuracy",
    "draw_instances",
    "draw_looks",
    "draw_losses",
    "draw_predictions",
    "draw_summary",
    "figure_of_looks",
    "find_images",
    "frame_rate",
    "new_figure",
    "paint_arrows",
    "paint_heat",
    "query_independence",
    "read_frames",
    "read_metrics",
    "read_picture",
    "record_attention",
]
