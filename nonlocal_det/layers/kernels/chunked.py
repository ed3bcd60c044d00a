"""Blocks of queries: the same work as `dense` with a part of its memory, for every function."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nonlocal_det.layers.checks import autocast_off
from nonlocal_det.layers.pairwise import SOFTMAX

from .dense import dense
from .operands import Operands

CHUNK_BYTES = 16 * 2**20
"""What one block of the affinity matrix may take."""


def chunked(operands: Operands, chunk: int | None = None) -> Tensor:
    """The response a block of queries at a time, recomputed in the backward pass.

    The softmax forms keep only the log-sum-exp of each query beside y; the others run `dense` on
    each block under torch's checkpointing.

    Args:
        operands: see `response`.
        chunk: queries in a block; None: as many as `CHUNK_BYTES` allows.

    Raises:
        ValueError: ``chunk`` is below 1.
        RuntimeError: a second derivative is asked of a softmax form; ``kernel="dense"`` has it.

    Note:
        O(P Q Ci) time, O(chunk Q) memory.
    """
    theta, phi, _ = operands.in_float32()
    if chunk is None:
        row = theta.shape[0] * phi.shape[1] * theta.element_size()
        chunk = max(1, CHUNK_BYTES // max(1, row))
    if chunk < 1:
        raise ValueError(f"chunk={chunk}; expected at least 1 query in a block")
    if torch.jit.is_tracing():  # TorchScript keeps no Python function, and a loop's length for ever
        return dense(operands)
    with autocast_off(theta.device):
        if operands.pairwise in SOFTMAX:
            g = operands.real_g()
            y: Tensor = _ChunkedSoftmax.apply(
                theta, phi, g, operands.scale, operands.key_mask, chunk
            )
            return y
        blocks = [_dense_block(operands, part) for part in _parts(theta.shape[1], chunk)]
    return torch.cat(blocks, dim=1)


def _parts(count: int, chunk: int) -> Iterator[slice]:
    """Slices that cover 0..count; one empty slice for count 0."""
    return (slice(start, start + chunk) for start in range(0, max(count, 1), chunk))


def _dense_block(operands: Operands, part: slice) -> Tensor:
    if not torch.is_grad_enabled():
        return dense(replace(operands, theta=operands.theta[:, part]))

    def run(theta: Tensor, phi: Tensor, g: Tensor, w_f: Tensor | None) -> Tensor:
        return dense(replace(operands, theta=theta, phi=phi, g=g, w_f=w_f))

    block: Tensor = checkpoint(
        run,
        operands.theta[:, part],
        operands.phi,
        operands.g,
        operands.w_f,
        use_reentrant=False,
        preserve_rng_state=False,
    )
    return block


class _ChunkedSoftmax(torch.autograd.Function):
    """``softmax(scale * theta phi^T) g`` for (N, P, Ci), (N, Q, Ci), (N, Q, Cg) -> (N, P, Cg).

    With w the softmax and t the upstream gradient: ``dg = w^T t``,
    ``ds = w * (t g^T - sum(t * y))``, ``dtheta = scale * ds phi``, ``dphi = scale * ds^T theta``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        theta: Tensor,
        phi: Tensor,
        g: Tensor,
        scale: float,
        key_mask: Tensor | None,
        chunk: int,
    ) -> Tensor:
        y = theta.new_empty(*theta.shape[:2], g.shape[2])
        lse = theta.new_empty(theta.shape[:2])
        for part in _parts(theta.shape[1], chunk):
            scores = _scores(theta[:, part], phi, scale, key_mask)
            lse[:, part] = torch.logsumexp(scores, dim=2)
            y[:, part] = torch.matmul(_normalize_(scores, lse[:, part]), g)
        ctx.save_for_backward(theta, phi, g, y, lse)
        ctx.scale, ctx.key_mask, ctx.chunk = scale, key_mask, chunk
        return y

    @staticmethod
    def backward(ctx: Any, t: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # autograd sets it for create_graph=True
            raise RuntimeError(
                "kernel='chunked' has no second derivative in the softmax forms; use kernel='dense'"
            )
        theta, phi, g, y, lse = ctx.saved_tensors
        grad_theta = torch.empty_like(theta)
        grad_phi, grad_g = torch.zeros_like(phi), torch.zeros_like(g)
        for part in _parts(theta.shape[1], ctx.chunk):
            scores = _scores(theta[:, part], phi, ctx.scale, ctx.key_mask)
            weights = _normalize_(scores, lse[:, part])
            grad_g += torch.matmul(weights.transpose(1, 2), t[:, part])
            inner = (t[:, part] * y[:, part]).sum(-1, keepdim=True)
            grad_scores = torch.matmul(t[:, part], g.transpose(1, 2)).sub_(inner).mul_(weights)
            grad_theta[:, part] = torch.matmul(grad_scores, phi) * ctx.scale
            grad_phi += torch.matmul(grad_scores.transpose(1, 2), theta[:, part]) * ctx.scale
        return grad_theta, grad_phi, grad_g, None, None, None


def _scores(theta: Tensor, phi: Tensor, scale: float, key_mask: Tensor | None) -> Tensor:
    scores = torch.matmul(theta * scale, phi.transpose(1, 2))  # (N, p, Ci) @ (N, Ci, Q)
    if key_mask is not None:
        scores.masked_fill_(~key_mask.unsqueeze(1), float("-inf"))
    return scores


def _normalize_(scores: Tensor, lse: Tensor) -> Tensor:
    """In place: exp(scores - log-sum-exp), the softmax."""
    return scores.sub_(lse.unsqueeze(2)).exp_()
