"""The concatenation by sorting: exact, with nothing of size P x Q.

``w_f . [theta_i, phi_j] = a_i + b_j``, so with the keys sorted by falling b those of query i for
which the ReLU is open come first: ``sum_j ReLU(a_i + b_j) g_j = a_i * G(i) + B(i)``, where G and B
are the sums of g_j and of b_j g_j over them.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nonlocal_det.layers.pairwise import split_w_f
from nonlocal_det.layers.precision import at_least_float32

from .operands import Operands


def sorted_keys(operands: Operands) -> Tensor:
    """The response by sorted keys, running sums and binary search; concatenation.

    *Source*: Wang et al., Non-local Neural Networks, Eq. 5, re-ordered.

    Note:
        O((P + Q) Ci + Q log Q + P log Q) time, O((P + Q) Cg) memory. The running sums are in
        float64: a float32 sum over thousands of keys would lose digits where they cancel.
    """
    a, b = split_w_f(operands.theta, operands.phi, operands.w_f)
    g = at_least_float32(operands.real_g()) / operands.counts()
    if torch.jit.is_tracing():  # TorchScript keeps no Python function
        return _relu_sum(a, b, g)[0]
    y: Tensor = _SortedSum.apply(a, b, g)
    return y


class _SortedSum(torch.autograd.Function):
    """``y_i = sum_j ReLU(a_i + b_j) g_j`` for a (N, P), b (N, Q), g (N, Q, C) -> (N, P, C).

    The backward pass is made of the same sums: with t the upstream gradient,
    ``dg_j = sum_i ReLU(b_j + a_i) t_i``, ``da_i = t_i . G(i)`` and ``db_j = g_j . T(j)``, T being
    the sum of t over the queries that are open for key j.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, g: Tensor) -> Tensor:
        ctx.save_for_backward(a, b, g)
        return _relu_sum(a, b, g)[0]

    @staticmethod
    def backward(ctx: Any, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b, g = ctx.saved_tensors
        grad_g, summed_t = _relu_sum(b, a, t)
        grad_a = (t * _open_sum(a, b, g)).sum(-1)
        return grad_a, (g * summed_t).sum(-1), grad_g


def _relu_sum(a: Tensor, b: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """``sum_j ReLU(a_i + b_j) g_j`` and ``sum_j [a_i + b_j > 0] g_j``: twice (N, P, C)."""
    falling, order, opened = _sort(a, b)
    in_order = _at(g.transpose(1, 2), order)
    plain = _at(_running(in_order), opened)  # (N, C, P)
    weighted = _at(_running(falling.unsqueeze(1).double() * in_order), opened)
    y = weighted.addcmul(a.unsqueeze(1).double(), plain)
    return y.to(g.dtype).transpose(1, 2), plain.to(g.dtype).transpose(1, 2)


def _open_sum(a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    """``sum_j [a_i + b_j > 0] g_j``: (N, P, C)."""
    _, order, opened = _sort(a, b)
    sums = _at(_running(_at(g.transpose(1, 2), order)), opened)
    return sums.to(g.dtype).transpose(1, 2)


def _sort(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The keys by falling b: b and its order (N, Q); how many are open for each query (N, P)."""
    rising, order = (-b).sort(dim=1)
    opened = torch.searchsorted(rising.detach(), a.detach().contiguous())  # those with -b_j < a_i
    return -rising, order, opened


def _running(x: Tensor) -> Tensor:
    """Sums from the first to each position, after a 0: (N, C, Q) -> (N, C, Q + 1), float64.

    Positions last: a running sum over memory that lies together is many times faster.
    """
    return F.pad(x.cumsum(2, dtype=torch.float64), (1, 0))


def _at(x: Tensor, index: Tensor) -> Tensor:
    """Columns of (N, C, Q) by (N, P) -> (N, C, P)."""
    return x.gather(2, index.unsqueeze(1).expand(-1, x.shape[1], -1))
