"""The concatenation by sorting: exact, with nothing of size P x Q.

``w_f . [theta_i, phi_j] = a_i + b_j``, so with b sorted the keys of query i for which the ReLU is
open are a suffix: ``sum_j ReLU(a_i + b_j) g_j = a_i * G(i) + B(i)``, where G and B are the sums of
g_j and of b_j g_j over that suffix.
"""

from typing import Any

import torch
from torch import Tensor

from nonlocal_det.layers.checks import autocast_off
from nonlocal_det.layers.pairwise import split_w_f

from .operands import Operands


def sorted_sums(operands: Operands) -> Tensor:
    """The response by sorted keys, suffix sums and binary search; concatenation.

    *Source*: Wang et al., Non-local Neural Networks, Eq. 5, re-ordered.

    Note:
        O((P + Q) Ci + Q log Q + P log Q) time, O((P + Q) Cg) memory. The suffix sums run in
        float64: a float32 sum over thousands of keys would lose digits where they cancel.
    """
    theta, phi, _ = operands.in_float32()
    with autocast_off(theta.device):
        a, b = split_w_f(theta, phi, operands.w_f)
        g = operands.real_g() / operands.counts()
        if torch.jit.is_tracing():  # TorchScript keeps no Python function
            return _relu_sum(a, b, g)
        y: Tensor = _SortedSum.apply(a, b, g)
        return y


class _SortedSum(torch.autograd.Function):
    """``y_i = sum_j ReLU(a_i + b_j) g_j`` for a (N, P), b (N, Q), g (N, Q, C) -> (N, P, C).

    The backward pass is made of the same sums: with t the upstream gradient,
    ``dg_j = sum_i ReLU(b_j + a_i) t_i``, ``da_i = t_i . G(i)`` and ``db_j = g_j . T(j)``.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, g: Tensor) -> Tensor:
        ctx.save_for_backward(a, b, g)
        return _relu_sum(a, b, g)

    @staticmethod
    def backward(ctx: Any, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b, g = ctx.saved_tensors
        grad_a = (t * _open_sum(a, b, g)).sum(-1)
        grad_b = (g * _open_sum(b, a, t)).sum(-1)
        grad_g: Tensor = _SortedSum.apply(b, a, t)
        return grad_a, grad_b, grad_g


def _suffix_sums(values: Tensor) -> Tensor:
    """Sums from each position to the end, and 0 at the end: (N, Q, C) -> (N, Q + 1, C), float64."""
    sums = values.double().flip(1).cumsum(1).flip(1)
    return torch.cat([sums, sums.new_zeros(sums.shape[0], 1, sums.shape[2])], dim=1)


def _first_open(a: Tensor, b_sorted: Tensor) -> Tensor:
    """For each query the first sorted key with a_i + b_j > 0: (N, P), (N, Q) -> (N, P)."""
    return torch.searchsorted(b_sorted.detach(), -a.detach(), right=True)


def _at(sums: Tensor, index: Tensor) -> Tensor:
    """Rows of (N, Q + 1, C) by (N, P) -> (N, P, C)."""
    return sums.gather(1, index.unsqueeze(2).expand(-1, -1, sums.shape[2]))


def _relu_sum(a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    b_sorted, order = b.sort(dim=1)
    g = g.gather(1, order.unsqueeze(2).expand_as(g))
    first = _first_open(a.contiguous(), b_sorted)
    weighted = _at(_suffix_sums(b_sorted.unsqueeze(2) * g.double()), first)
    plain = _at(_suffix_sums(g), first)
    return (a.unsqueeze(2) * plain + weighted).to(g.dtype)


def _open_sum(a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    """``sum_j [a_i + b_j > 0] g_j``: (N, P, C)."""
    b_sorted, order = b.sort(dim=1)
    g = g.gather(1, order.unsqueeze(2).expand_as(g))
    return _at(_suffix_sums(g), _first_open(a.contiguous(), b_sorted)).to(g.dtype)
