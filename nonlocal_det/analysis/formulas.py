"""What one operator costs: multiply-adds of products, and everything else counted apart.

torch's own formulas serve the products; those it lacks stand here, with the operators that are not
products (sorts, sums, softmaxes), so that a kernel which trades products for them cannot hide it.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

Formula = Callable[..., int]
"""Takes an operator's output, then its arguments; gives a number of operations.

The operators are keyed by name: not every torch has all of them.
"""


def multiply_adds(func: Any, out: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """Multiply-adds of a product or convolution: half of torch's FLOPs.

    Args:
        func: the operator, as ``torch.ops.aten.mm.default``.
        out: what it returned.
        args: what it was given.
        kwargs: what it was given by name.

    Returns:
        None where the operator is neither.
    """
    packet, name = func.overloadpacket, str(func.overloadpacket)
    if name in _PRODUCTS:
        return _PRODUCTS[name](out, *args, **kwargs)
    if packet in flop_registry:
        return int(flop_registry[packet](*args, **kwargs, out_val=out)) // 2
    return None


def other_operations(
    func: Any, out: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> int | None:
    """Operations of an operator that is no product.

    One operation is one addition, comparison, exponential and so on of one number; moving,
    copying and converting numbers costs none.

    Args:
        func: the operator, as ``torch.ops.aten.add.Tensor``.
        out: what it returned.
        args: what it was given.
        kwargs: what it was given by name.

    Returns:
        None where no formula knows the operator.
    """
    name = str(func.overloadpacket)
    if name in _OTHERS:
        return _OTHERS[name](out, *args, **kwargs)
    if name in _MOVES or func.is_view or func.namespace == "prim":
        return 0
    if torch.Tag.pointwise in func.tags and isinstance(out, Tensor):
        return out.numel()
    return None


def _attention(out: Any, q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> int:
    return int(sdpa_flop_count(q.shape, k.shape, v.shape)) // 2


_PRODUCTS: dict[str, Formula] = {
    "aten.baddbmm_": lambda out, sums, a, b, **scales: math.prod(a.shape) * b.shape[2],
    "aten.mv": lambda out, matrix, vector: matrix.numel(),
    "aten.addmv": lambda out, bias, matrix, vector, **scales: matrix.numel(),
    "aten.dot": lambda out, a, b: a.numel(),
    # torch counts the CUDA kernels of scaled_dot_product_attention, but not the CPU's
    "aten._scaled_dot_product_flash_attention_for_cpu": _attention,
}


def _each_input(times: int = 1) -> Formula:
    return lambda out, x, *args, **kwargs: times * x.numel()


def _softmax_of_attention(out: Any, q: Tensor, k: Tensor, *args: Any, **kwargs: Any) -> int:
    return 5 * q.shape[:-1].numel() * k.shape[-2]  # as _softmax, of the P x Q affinities


def _pool(out: Any, x: Tensor, kernel: list[int], *args: Any, **kwargs: Any) -> int:
    sides = kernel * (x.dim() - 2 if len(kernel) == 1 else 1)
    return int(out[0].numel()) * math.prod(sides)


def _sort(out: Any, x: Tensor, dim: int = -1, *args: Any, **kwargs: Any) -> int:
    return x.numel() * math.ceil(math.log2(max(1, x.shape[dim])))


def _search(out: Tensor, ordered: Tensor, *args: Any, **kwargs: Any) -> int:
    return out.numel() * math.ceil(math.log2(ordered.shape[-1] + 1))


_ATTENTIONS = (
    "aten._scaled_dot_product_flash_attention_for_cpu",
    "aten._scaled_dot_product_flash_attention",
    "aten._scaled_dot_product_efficient_attention",
)

_OTHERS: dict[str, Formula] = {
    "aten.native_batch_norm": _each_input(2),  # in an inference: a scale and a shift
    "aten.cudnn_batch_norm": _each_input(2),
    "aten.native_group_norm": _each_input(5),  # mean, centre, square and sum, scale, shift
    "aten._softmax": _each_input(5),  # maximum, difference, exponential, sum, quotient
    "aten._safe_softmax": _each_input(5),
    "aten.logsumexp": _each_input(4),
    "aten.max_pool2d_with_indices": _pool,
    "aten.max_pool3d_with_indices": _pool,
    "aten.threshold_": _each_input(),
    "aten.sort": _sort,
    "aten.searchsorted": _search,
    "aten.upsample_bilinear2d": lambda out, *args, **kwargs: 4 * out.numel(),
    **dict.fromkeys(
        ("aten.sum", "aten.mean", "aten.cumsum", "aten.amax", "aten.any"), _each_input()
    ),
    **dict.fromkeys(_ATTENTIONS, _softmax_of_attention),
}

_MOVES = {
    f"aten.{name}"
    for name in (
        *("cat", "clone", "copy_", "_to_copy", "flip", "gather", "index"),
        *("empty", "empty_like", "new_empty", "new_zeros", "zeros", "zeros_like"),
        *("ones", "full", "arange", "fill_", "zero_", "constant_pad_nd", "upsample_nearest2d"),
        *("_unsafe_view", "detach", "lift_fresh"),
    )
}
