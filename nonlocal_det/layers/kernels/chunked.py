"""Blocks of queries: the same work as `dense` with a part of its memory, for every function."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nonlocal_det.layers.pairwise import SOFTMAX
from nonlocal_det.layers.precision import autocast_off

from .dense import dense
from .operands import Operands
from .softmax import ChunkedSoftmax, parts

CHUNK_BYTES = 16 * 2**20
"""What one block of the affinity matrix may take."""

KEEP_BYTES = 32 * 2**20
"""A softmax of this size is kept for the backward pass; a larger one is computed again there."""


def chunked(operands: Operands, chunk: int | None = None) -> Tensor:
    """The response a block of queries at a time, recomputed in the backward pass.

    The softmax forms keep the matrix only where it is small; the others run `dense` on each block
    under torch's checkpointing.

    Args:
        operands: see `response`.
        chunk: queries in a block; None: as many as `CHUNK_BYTES` allows, or all where the matrix
            of a softmax form has to be kept and `KEEP_BYTES` allows.

    Raises:
        ValueError: ``chunk`` is below 1.
        RuntimeError: a second derivative is asked of a softmax form; ``kernel="dense"`` has it.

    Note:
        O(P Q Ci) time, O(chunk Q) memory.
    """
    theta, phi = operands.theta, operands.phi
    chunk = _queries_in_a_block(operands) if chunk is None else chunk
    if chunk < 1:
        raise ValueError(f"chunk={chunk}; expected at least 1 query in a block")
    if torch.jit.is_tracing():  # TorchScript keeps no Python function, and a loop's length for ever
        return dense(operands)
    if operands.pairwise in SOFTMAX:
        g, mask = operands.real_g(), operands.key_mask
        with autocast_off(g.device):
            y: Tensor = ChunkedSoftmax.apply(theta, phi, g, operands.scale, mask, chunk)
        return y
    blocks = [_dense_block(operands, part) for part in parts(theta.shape[1], chunk)]
    return torch.cat(blocks, dim=1)


def _queries_in_a_block(operands: Operands) -> int:
    n, queries = operands.theta.shape[:2]
    row = max(1, n * operands.phi.shape[1] * max(4, operands.theta.element_size()))
    learning = operands.pairwise in SOFTMAX and torch.is_grad_enabled()
    if learning and queries * row <= KEEP_BYTES:
        return max(1, queries)
    return max(1, CHUNK_BYTES // row)


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
