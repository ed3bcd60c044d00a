"""The training step: in micro-batches if asked, checked, and explained where it fails."""

from .block_watch import BlockWatch
from .nonfinite import NonFiniteError, NonFiniteGuard
from .precision import (
    Precision,
    autocast_dtype,
    build_inner_trainer,
    lay_out,
    mixed_dtype,
    precision_of,
)
from .saved_batch import Replay, describe_replay, replay
from .training_step import TrainingStep, bare_model

__all__ = [
    "BlockWatch",
    "NonFiniteError",
    "NonFiniteGuard",
    "Precision",
    "Replay",
    "TrainingStep",
    "autocast_dtype",
    "bare_model",
    "build_inner_trainer",
    "describe_replay",
    "lay_out",
    "mixed_dtype",
    "precision_of",
    "replay",
]
