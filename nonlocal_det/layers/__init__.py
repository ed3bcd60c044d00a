"""The operation and the block, in torch only: nothing here imports Detectron2 or reads a config."""

from .attention_rows import AffinityRows, PairwiseRows, SharedRow
from .block import NonLocalBlock
from .checkpointing import CHECKPOINTING, checkpoint_gradients
from .global_context import GlobalContextBlock
from .groups import OVER, Boxes, Groups
from .insertion import InsertedBlock, insert_after, insert_blocks, nonlocal_blocks
from .kernels import KERNELS, response
from .non_local import NonLocal
from .options import INITS, NORMS, OPERATIONS, PRESETS, SUBSAMPLE, BlockOptions
from .padding import Padding, known_padding, set_padding
from .pairwise import PAIRWISE, affinity
from .per_position import PerPositionBlock

__all__ = [
    "CHECKPOINTING",
    "INITS",
    "KERNELS",
    "NORMS",
    "OPERATIONS",
    "OVER",
    "PAIRWISE",
    "PRESETS",
    "SUBSAMPLE",
    "AffinityRows",
    "BlockOptions",
    "Boxes",
    "GlobalContextBlock",
    "Groups",
    "InsertedBlock",
    "NonLocal",
    "NonLocalBlock",
    "Padding",
    "PairwiseRows",
    "PerPositionBlock",
    "SharedRow",
    "affinity",
    "checkpoint_gradients",
    "insert_after",
    "insert_blocks",
    "nonlocal_blocks",
    "known_padding",
    "response",
    "set_padding",
]
