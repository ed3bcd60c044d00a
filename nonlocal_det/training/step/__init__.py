"""The training step: in parts if asked, watched, and explained where its numbers go wrong."""

from .block_watch import BlockWatch
from .nonfinite import NonFiniteError, NonFiniteGuard
from .options import StepOptions, parse_policy
from .precision import lay_out, mixed_dtype, precision_of
from .reproduction import Replay, describe_replay, replay
from .training import TrainingStep, bare_model

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
