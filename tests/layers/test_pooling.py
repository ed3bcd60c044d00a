"""The lean max pooling is torch's own, values and both derivatives, and keeps less."""

import pytest
import torch
from torch import nn

from nonlocal_det.layers.pooling import LeanMaxPool

TORCH = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


@pytest.mark.parametrize(
    ("window", "shape"),
    [
        ((2,), (2, 3, 7)),
        ((2, 2), (2, 3, 5, 8)),
        ((2, 2), (0, 3, 5, 8)),
        ((2, 2), (1, 1, 1, 1)),
        ((1, 2, 2), (2, 3, 3, 5, 4)),
    ],
)
def test_it_is_torchs_max_pooling(window, shape):
    x = torch.randn(shape, dtype=torch.double).round(decimals=1)  # with ties
    x = x.to(memory_format=torch.channels_last) if len(shape) == 4 else x
    results = []
    for pool in (LeanMaxPool(window), TORCH[len(window)](window, window, ceil_mode=True)):
        leaf = x.clone().requires_grad_()
        y = pool(leaf)
        (grad,) = torch.autograd.grad((y**3).sum(), leaf, create_graph=True)
        (second,) = torch.autograd.grad((grad**2).sum(), leaf)
        results.append((y, grad, second))
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


def test_only_short_indices_are_kept():
    kept = []
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t)
    x = torch.randn(1, 4, 6, 8, requires_grad=True)
    with hooks:
        LeanMaxPool((2, 2))(x)
    assert [(t.dtype, t.numel()) for t in kept] == [(torch.int32, 4 * 3 * 4)]
