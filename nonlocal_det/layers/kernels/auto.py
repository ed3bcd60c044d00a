"""Which kernel `auto` takes: a small cost model, written down; its numbers were measured.

`make bench ARGS="--sweep"` measures every kernel; a test holds the choices against such a sweep.
"""

import torch

from .operands import Operands
from .sdpa import is_fused

SORT_COST = 350
"""What sorting, summing and looking up one feature of a query or key costs in multiply-adds."""

LARGE_BYTES = 2**27
"""A matrix of this size is too large to go through memory block by block: fused attention wins."""


def choose(operands: Operands) -> str:
    """The kernel for these operands, by function, sizes, width, device and dtype.

    - dot_product: `factored`, which itself takes the cheaper order.
    - concatenation: `sorted` costs (P + Q) Cg `SORT_COST`, `dense` P Q Cg: the cheaper one.
    - gaussian, embedded_gaussian: `sdpa` where torch has it fused and on CUDA, in half precision or
      for a large matrix; else `chunked`, the fastest in float32 on a CPU, and 4 to 10 times as fast
      as the others where the softmax is so steep that its weights are denormal numbers.
    """
    o = operands
    if o.pairwise == "dot_product":
        return "factored"
    if o.pairwise == "concatenation":
        if torch.onnx.is_in_onnx_export():  # ONNX has no binary search, which sorting needs
            return "dense"
        p, q = o.theta.shape[1], o.phi.shape[1]
        return "sorted" if p * q > (p + q) * SORT_COST else "dense"
    pairs = o.theta.shape[0] * o.theta.shape[1] * o.phi.shape[1]
    large = o.g.dtype.itemsize == 2 or pairs * o.g.dtype.itemsize > LARGE_BYTES
    return "sdpa" if (o.g.device.type == "cuda" or large) and is_fused(o) else "chunked"
