"""Running out of GPU memory, explained: in which batch, at which sizes, and what to set."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from nonlocal_det.layers import NonLocal, nonlocal_blocks

from .diagnosis import some
from .parts import images_of


class MemoryAdvice:
    """Knows the size of the map that each non-local block was last given: a shape is noted.

    Args:
        model: its blocks are watched from now on.
    """

    def __init__(self, model: nn.Module) -> None:
        self.blocks = nonlocal_blocks(model)
        self.shapes: dict[str, torch.Size] = {}
        for name, block in self.blocks.items():

            def note(block: nn.Module, given: tuple[Tensor, ...], name: str = name) -> None:
                self.shapes[name] = given[0].shape

            block.register_forward_pre_hook(note)

    def explain(
        self,
        error: torch.cuda.OutOfMemoryError,
        data: Any,
        *,
        parts: int,
        iteration: int,
        mixed: bool,
    ) -> torch.cuda.OutOfMemoryError:
        """An error of the same class that says more.

        Args:
            error: torch's.
            data: the batch of this process.
            parts: into which the batch was divided.
            iteration: from 0.
            mixed: whether it was computed in mixed precision.
        """
        where = f"Out of memory at iteration {iteration}, in a batch of {_describe(data)}."
        blocks = [f"Non-local block {line}." for line in self._describe_blocks()]
        cures = f"To need less: {'; '.join(self._cures(data, parts, mixed))}."
        return type(error)("\n".join([str(error), where, *blocks, cures]))

    def _describe_blocks(self) -> list[str]:
        """For each block that has run: its kernel, and the matrix that this kernel may need."""
        said = []
        for name, shape in self.shapes.items():
            block = self.blocks[name]
            if not isinstance(block, NonLocal):
                continue
            queries = math.prod(shape[2:])
            pooled = [side if block.subsample == "none" else -(-side // 2) for side in shape[2:]]
            keys = math.prod(pooled)
            mib = shape[0] * queries * keys * 4 / 2**20
            said.append(
                f"{name}: kernel {block.kernel!r}, {shape[0]} x {queries} queries x {keys} keys, "
                f"{mib:.0f} MiB as a matrix in float32"
            )
        return said

    def _cures(self, data: Any, parts: int, mixed: bool) -> list[str]:
        """What would help here, the changes that leave the result as it is first."""
        found = []
        if isinstance(data, list) and len(data) > parts:
            found.append(f"--accumulate {len(data)} computes the same step image by image")
        blocks = [block for block in self.blocks.values() if isinstance(block, NonLocal)]
        if any(block.kernel in ("dense", "sdpa") for block in blocks):
            found.append("MODEL.NONLOCAL.KERNEL auto builds no whole matrix")
        found.append("PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True in the environment")
        if not mixed:
            found.append("SOLVER.AMP.ENABLED True")
        if any(block.subsample == "none" for block in blocks):
            found.append("MODEL.NONLOCAL.SUBSAMPLE after")
        found.append("a smaller INPUT.MIN_SIZE_TRAIN and INPUT.MAX_SIZE_TRAIN")
        return found


def _describe(data: Any) -> str:
    if not isinstance(data, list):
        return "unknown size"
    shapes = [one["image"].shape for one in data if isinstance(one, dict) and "image" in one]
    size = ""
    if shapes:
        height, width = (max(int(shape[axis]) for shape in shapes) for axis in (-2, -1))
        size = f" padded to {height}x{width}"
    return f"{len(data)} images{size} ({some(images_of(data))})"
