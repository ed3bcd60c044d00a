"""Which kernel `auto` takes: a written-down cost model, coarse on purpose."""

from .operands import Operands

SORTED_FROM = 2**14
"""Pairs below which the matrix of the concatenation is too small to be worth a sort; a guess."""

DENSE_BYTES = 64 * 2**20
"""An affinity matrix over this size is not built where torch has no fused path."""

FUSED_WIDTH = 256
"""The largest width of flash attention on CUDA."""


def choose(operands: Operands) -> str:
    """The kernel for these operands, by function, sizes, width, device and dtype.

    - dot_product: `factored`, which itself takes the cheaper order.
    - concatenation: `sorted`, unless the matrix is tiny.
    - gaussian, embedded_gaussian: `sdpa` where it is fused; else `dense` while the matrix is small
      and `chunked` beyond.
    """
    o = operands
    pairs = o.theta.shape[0] * o.theta.shape[1] * o.phi.shape[1]
    if o.pairwise == "dot_product":
        return "factored"
    if o.pairwise == "concatenation":
        return "sorted" if pairs >= SORTED_FROM else "dense"
    if _is_fused(o):
        return "sdpa"
    return "dense" if pairs * 4 <= DENSE_BYTES else "chunked"


def _is_fused(o: Operands) -> bool:
    if o.theta.shape[2] != o.g.shape[2]:  # the gaussian form: C wide keys, Ci wide values
        return False
    return o.theta.device.type != "cuda" or o.theta.shape[2] <= FUSED_WIDTH
