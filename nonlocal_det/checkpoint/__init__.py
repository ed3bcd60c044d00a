"""Checkpoints that are whole or not there, files that are data, and what a load has matched."""

from .checkpointer import SafeCheckpointer
from .errors import CheckpointError, DamagedError, RefusedError
from .folder import BEST
from .options import CheckpointOptions
from .reading import read_checkpoint
from .report import LoadReport
from .weights import check_target, convert_weights, load_weights, read_tensors, write_weights

__all__ = [
    "BEST",
    "CheckpointError",
    "CheckpointOptions",
    "DamagedError",
    "LoadReport",
    "RefusedError",
    "SafeCheckpointer",
    "check_target",
    "convert_weights",
    "load_weights",
    "read_checkpoint",
    "read_tensors",
    "write_weights",
]
