"""The training step: in micro-batches if asked, checked, and explained where it fails."""

from .block_watch import BlockWatch
from .nonfinite import NonFiniteError, NonFiniteGuard
from .precision import lay_out, mixed_dtype, precision_of
from .saved_batch import Replay, describe_replay, replay
from .training_step import StepOptions, TrainingStep, bare_model, parse_policy

__all__ = [
    "BlockWatch",
    "NonFiniteError",
    "NonFiniteGuard",
    "Replay",
    "StepOptions",
    "TrainingStep",
    "bare_model",
    "describe_replay",
    "lay_out",
    "mixed_dtype",
    "parse_policy",
    "precision_of",
    "replay",
]
