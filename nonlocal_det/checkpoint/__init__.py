"""Checkpoints that are whole or not there, files that are data, and what a load has matched."""

from .checkpointer import CheckpointOptions, SafeCheckpointer
from .data_names import Names, names_of_data
from .errors import CheckpointError, DamagedError, RefusedError
from .folder import AVERAGED, BEST, has_checkpoint
from .reading import read_checkpoint, read_torch
from .report import LoadReport
from .weights import check_target, convert_weights, load_weights, read_tensors, write_weights
from .writing import write_checkpoint

__all__ = [
    "AVERAGED",
    "BEST",
    "CheckpointError",
    "CheckpointOptions",
    "DamagedError",
    "LoadReport",
    "Names",
    "RefusedError",
    "SafeCheckpointer",
    "check_target",
    "convert_weights",
    "has_checkpoint",
    "load_weights",
    "names_of_data",
    "read_checkpoint",
    "read_tensors",
    "write_weights",
    "read_torch",
    "write_checkpoint",
]
