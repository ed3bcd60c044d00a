"""The training step: in parts if asked, watched, and explained where its numbers go wrong."""

from .block_watch import BlockWatch
from .nonfinite import NonFiniteError, NonFiniteGuard
from .options import StepOptions, parse_policy
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
    "parse_policy",
    "replay",
]
