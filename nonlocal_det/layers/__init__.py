"""The operation and the block, in torch alone: nothing here knows Detectron2 or a config."""

from .block import NonLocalBlock
from .global_context import GlobalContextBlock
from .inserted import InsertedBlock, insert_after
from .kernels import KERNELS, response
from .non_local import NonLocal
from .padding import Padding, known_padding, set_padding
from .pairwise import PAIRWISE, affinity
from .per_position import PerPositionBlock
from .presets import INITS, NORMS, PRESETS, SUBSAMPLE, Preset
from .rows import AffinityRows, PairwiseRows, SharedRow

__all__ = [
    "AffinityRows",
    "INITS",
    "GlobalContextBlock",
    "InsertedBlock",
    "KERNELS",
    "NORMS",
    "PAIRWISE",
    "PRESETS",
    "Padding",
    "PairwiseRows",
    "PerPositionBlock",
    "SUBSAMPLE",
    "SharedRow",
    "NonLocal",
    "NonLocalBlock",
    "Preset",
    "affinity",
    "insert_after",
    "known_padding",
    "response",
    "set_padding",
]
