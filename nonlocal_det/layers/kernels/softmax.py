"""The softmax forms by blocks of queries, with a backward pass by hand that recomputes or keeps.

Every product is taken in the layout that convolutions hold, channels before positions, so that
nothing of the size of the map is copied on the way in or out.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from nonlocal_det.layers.precision import add_product_, at_least_float32, multiply


def parts(count: int, chunk: int) -> Iterator[slice]:
    """Slices that cover 0..count; one empty slice for count 0."""
    if chunk >= count:  # without a loop: in a compiled graph its length would be a constant
        return iter((slice(None),))
    return (slice(start, start + chunk) for start in range(0, count, chunk))


class ChunkedSoftmax(torch.autograd.Function):
    """``softmax(scale * theta phi^T) g`` for (N, P, Ci), (N, Q, Ci), (N, Q, Cg) -> (N, P, Cg).

    With w the softmax and t the upstream gradient: ``dg = w^T t``,
    ``ds = w * (t g^T - sum(t * y))``, ``dtheta = scale * ds phi``, ``dphi = scale * ds^T theta``.

    Where one block covers all queries, w is kept for the backward pass; else it is computed again,
    from its scores. Their log-sum-exp would save a pass, but has few digits where they are large:
    at 1e4, weights would be wrong by 1e-3.
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
        """The response, `chunk` queries at a time."""
        queries, half = theta.shape[1], g.dtype
        y = g.new_empty(g.shape[0], g.shape[2], queries)  # (N, Cg, P)
        for part in parts(queries, chunk):
            weights = _weights(theta[:, part], phi, scale, key_mask)
            # (N, Cg, Q) @ (N, Q, p) -> (N, Cg, p)
            add_product_(y[:, :, part], g.transpose(1, 2), weights.transpose(1, 2), half, beta=0)
        ctx.save_for_backward(theta, phi, g, y, weights if chunk >= queries else None)
        ctx.scale, ctx.key_mask, ctx.chunk = scale, key_mask, chunk
        return y.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, t: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of theta, phi and g."""
        if torch.is_grad_enabled():  # autograd sets it for create_graph=True
            raise RuntimeError(
                "kernel='chunked' has no second derivative in the softmax forms; use kernel='dense'"
            )
        theta, phi, g, y, kept = ctx.saved_tensors
        half, grad_theta = theta.dtype, _channels_first(theta)
        grad_phi, grad_g = _channels_first(phi).zero_(), _channels_first(g).zero_()
        for part in parts(theta.shape[1], ctx.chunk):
            queries, upstream = theta[:, part], t[:, part]
            weights = kept
            if weights is None:
                weights = _weights(queries, phi, ctx.scale, ctx.key_mask)
            # (N, Cg, p) @ (N, p, Q) -> (N, Cg, Q)
            add_product_(grad_g, upstream.transpose(1, 2), weights, half)
            inner = at_least_float32(upstream) * y.transpose(1, 2)[:, part]
            grad_scores = multiply(upstream, g.transpose(1, 2), half)  # (N, p, Cg) @ (N, Cg, Q)
            grad_scores.sub_(inner.sum(-1, keepdim=True)).mul_(weights)
            # (N, Ci, Q) @ (N, Q, p) -> (N, Ci, p)
            of_part = grad_theta[:, :, part]
            add_product_(of_part, phi.transpose(1, 2), grad_scores.transpose(1, 2), half, beta=0)
            # (N, Ci, p) @ (N, p, Q) -> (N, Ci, Q)
            add_product_(grad_phi, queries.transpose(1, 2), grad_scores, half)
        if ctx.scale != 1:
            grad_theta.mul_(ctx.scale)
            grad_phi.mul_(ctx.scale)
        grads = (grad.transpose(1, 2).to(half) for grad in (grad_theta, grad_phi, grad_g))
        return *grads, None, None, None


def _channels_first(x: Tensor) -> Tensor:
    """Make an empty (N, C, P) for x (N, P, C), in float32 at least."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    return x.new_empty(x.shape[0], x.shape[2], x.shape[1], dtype=dtype)


def _weights(theta: Tensor, phi: Tensor, scale: float, key_mask: Tensor | None) -> Tensor:
    """Compute the softmax (N, p, Q), with weights below the smallest normal number as 0.

    They are far below the rounding of what they are added to, and a CPU multiplies such numbers
    many times slower: the un-embedded gaussian, whose softmax is steep, is full of them.

    Returns:
        The weights in theta's dtype, computed in float32 at least.
    """
    scaled = at_least_float32(theta) * scale if scale != 1 else theta
    scores = multiply(scaled, phi.transpose(1, 2), theta.dtype)  # (N, p, Ci) @ (N, Ci, Q)
    if key_mask is not None:
        scores.masked_fill_(~key_mask.unsqueeze(1), float("-inf"))
    weights = torch.threshold_(scores.softmax(dim=2), torch.finfo(scores.dtype).tiny, 0.0)
    return weights.to(theta.dtype)
