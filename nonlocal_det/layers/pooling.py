"""Max pooling that keeps a fifth of what torch's keeps for the backward pass."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class LeanMaxPool(nn.Module):
    """Max pooling over windows that do not overlap, an odd end being a window of its own.

    The same numbers as ``torch.nn.MaxPool2d(window, ceil_mode=True)``, values and gradients; torch
    keeps the whole input and 8-byte indices until the backward pass, this keeps 4-byte indices.

    Args:
        window: side of the window in each dimension of the map.

    Shape:
        x (N, C, *S) -> (N, C, *K), K being S divided by the window, rounded up.
    """

    def __init__(self, window: tuple[int, ...]) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """The largest value of each window."""
        if torch.jit.is_tracing():  # TorchScript keeps no Python function
            return _POOL[len(self.window)](x, self.window, self.window, ceil_mode=True)
        pooled: Tensor = _MaxPool.apply(x, self.window)
        return pooled

    def extra_repr(self) -> str:
        """What a printed model says of it."""
        return f"window={self.window}"


class _MaxPool(torch.autograd.Function):
    """Each gradient goes to the one position whose value was taken."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: tuple[int, ...]) -> Tensor:
        pool = _POOL[len(window)]
        pooled, index = pool(x, window, window, ceil_mode=True, return_indices=True)
        ctx.save_for_backward(index.to(torch.int32))
        ctx.spatial = x.shape[2:]
        return pooled

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        flat = grad.new_zeros(*grad.shape[:2], ctx.spatial.numel())  # (N, C, P)
        flat = flat.scatter(2, index.flatten(2).long(), grad.flatten(2))
        return flat.unflatten(2, ctx.spatial), None
