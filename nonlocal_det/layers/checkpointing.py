"""Gradient checkpointing: less memory in training for a second forward pass in the backward pass.

The second pass has to see what the first one saw: the padding of its batch (see padding.py), the
random stream (torch restores it), and batch norms must not count the batch twice.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .padding import Padding, first_padding, padding_again

CHECKPOINTING = ("", "stages", "blocks")
"""What is computed again: nothing; each stage as a whole; each block of a stage by itself."""


class CheckpointedStage(nn.Sequential):
    """A stage that keeps, in training, its input alone, or that of each of its blocks."""

    each_block: bool = False

    def forward(self, input: Tensor) -> Tensor:
        """Run the children in their order, as ``nn.Sequential``."""
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(input)
        if not self.each_block:
            return _checkpointed(super().forward, self, input)
        for block in self:
            input = _checkpointed(block, block, input)
        return input


def checkpoint_gradients(stage: nn.Sequential, what: str) -> None:
    """Let a stage compute its activations again in the backward pass; no name changes.

    Args:
        stage: changed in place.
        what: one of `CHECKPOINTING`.

    Raises:
        TypeError: the stage is of a class that runs its children in a way of its own.
        ValueError: an unknown value.
    """
    if what not in CHECKPOINTING:
        raise ValueError(
            f"MODEL.NONLOCAL.GRADIENT_CHECKPOINTING is {what!r}; "
            f"expected one of {', '.join(map(repr, CHECKPOINTING))}"
        )
    if not what:
        return
    if type(stage) not in (nn.Sequential, CheckpointedStage):
        raise TypeError(f"a stage to checkpoint is an nn.Sequential, not {type(stage).__name__}")
    stage.__class__ = CheckpointedStage
    assert isinstance(stage, CheckpointedStage)
    stage.each_block = what == "blocks"


def _checkpointed(function: Callable[[Tensor], Tensor], module: nn.Module, x: Tensor) -> Tensor:
    padding = first_padding(module)  # of this forward pass, whatever comes before its backward pass
    return checkpoint(
        function,
        x,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _second_pass(module, padding)),
    )


@contextmanager
def _second_pass(module: nn.Module, padding: Padding | None) -> Iterator[None]:
    norms: list[Any] = [m for m in module.modules() if getattr(m, "running_mean", None) is not None]
    norms = [m for m in norms if hasattr(m, "momentum")]  # a frozen norm has none
    before = [(m, m.momentum, m.num_batches_tracked.clone()) for m in norms]
    with padding_again(module, padding):
        try:
            for norm in norms:
                norm.momentum = 0.0  # the statistics have this batch already
            yield
        finally:
            for norm, momentum, count in before:
                norm.momentum = momentum
                norm.num_batches_tracked.copy_(count)
