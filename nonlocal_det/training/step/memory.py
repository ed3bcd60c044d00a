"""Running out of GPU memory, explained: with which batch, and what to set."""

from typing import Any

import torch
from torch import nn

from nonlocal_det.layers import NonLocal, nonlocal_blocks

from .micro_batch import MicroBatch, shorten


def explain_out_of_memory(
    error: torch.cuda.OutOfMemoryError, model: nn.Module, data: Any, *, parts: int, mixed: bool
) -> torch.cuda.OutOfMemoryError:
    """Return an error of the same class that names the batch and the options to set.

    A block that runs out of memory itself has named its kernel and its sizes in the error.

    Args:
        error: torch's.
        model: not wrapped.
        data: the batch of this process.
        parts: into which the batch was divided.
        mixed: whether it was computed in mixed precision.
    """
    blocks = [block for block in nonlocal_blocks(model).values() if isinstance(block, NonLocal)]
    cures = ["PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True in the environment"]
    if isinstance(data, list) and len(data) > parts:
        cures.insert(0, f"--accumulate {len(data)} computes the same step image by image")
    if any(block.kernel in ("dense", "sdpa") for block in blocks):
        cures.append("MODEL.NONLOCAL.KERNEL auto builds no whole matrix")
    if not mixed:
        cures.append("SOLVER.AMP.ENABLED True")
    if any(block.subsample == "none" for block in blocks):
        cures.append("MODEL.NONLOCAL.SUBSAMPLE after")
    cures.append("a smaller INPUT.MIN_SIZE_TRAIN and INPUT.MAX_SIZE_TRAIN")
    return type(error)(
        f"{error}\nOut of memory with a batch of {_describe(data)}.\n"
        f"To need less: {'; '.join(cures)}."
    )


def _describe(data: Any) -> str:
    if not isinstance(data, list):
        return "unknown size"
    shapes = [item["image"].shape for item in data if isinstance(item, dict) and "image" in item]
    size = ""
    if shapes:
        height, width = (max(int(shape[axis]) for shape in shapes) for axis in (-2, -1))
        size = f" padded to {height}x{width}"
    return f"{len(data)} images{size} ({shorten(MicroBatch(data).images)})"
