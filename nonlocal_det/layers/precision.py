"""Products in half precision whose results are float32, and how autocast is kept out of them."""

import contextlib
from typing import Any

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)
_FLOAT32_SUMS = "dtype" in torch.ops.aten.bmm.overloads()  # torch >= 2.8, on CUDA only


def at_least_float32(x: Tensor) -> Tensor:
    """Return ``x`` in float32 if it is in half precision, else ``x`` itself (float64 stays)."""
    return x.float() if x.dtype in HALF else x


def autocast_off(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return a region in which autocast does not narrow float32 products."""
    if device.type == "meta":  # torch has no autocast there, so there is nothing to switch off
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


def product(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """Multiply batches of matrices, in half precision if that is ``dtype``; differentiable.

    Args:
        a: the left matrices.
        b: the right matrices.
        dtype: what they are multiplied in if it is a half precision.

    Shape:
        a (N, P, K), b (N, K, Q) -> (N, P, Q).

    Returns:
        The product, never in half precision. On CUDA it is the float32 sum that the tensor cores
        have; elsewhere torch rounds it to the half precision first.
    """
    if dtype not in HALF or torch.jit.is_tracing():  # TorchScript keeps no Python function
        with autocast_off(a.device):
            return torch.matmul(at_least_float32(a), at_least_float32(b))
    y: Tensor = _HalfProduct.apply(a, b, dtype)
    return y


def multiply(a: Tensor, b: Tensor, half: torch.dtype) -> Tensor:
    """Multiply as `product` does, without gradients, in ``half`` if that is a half precision.

    bfloat16 has float32's range. In float16 both are scaled by powers of two to at most 1 first,
    so that no product of features overflows and no small gradient becomes 0.
    """
    if half not in HALF:
        return torch.matmul(a, b)
    if half == torch.bfloat16:
        return _wide(a.to(half), b.to(half))
    (a, of_a), (b, of_b) = _at_most_1(a), _at_most_1(b)
    most = max(1.0, a.shape[2] / 2**15)  # a sum of more such terms could overflow
    return _wide(a, b / most) * (of_a * of_b * most)


def add_product_(y: Tensor, a: Tensor, b: Tensor, half: torch.dtype, beta: int = 1) -> None:
    """Set y to ``beta y + a b`` in place, multiplied as `multiply` does; beta is 0 or 1."""
    if half not in HALF:
        y.baddbmm_(a, b, beta=beta)
    elif beta:
        y.add_(multiply(a, b, half))
    else:
        y.copy_(multiply(a, b, half))


class _HalfProduct(torch.autograd.Function):
    """``a b``, and with the upstream gradient t ``t b^T`` and ``a^T t``, all in half precision."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, half: torch.dtype) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.half = half
        return multiply(a, b, half)

    @staticmethod
    def backward(ctx: Any, t: Tensor) -> tuple[Tensor, Tensor, None]:
        a, b = ctx.saved_tensors
        grad_a = multiply(t, b.transpose(1, 2), ctx.half).to(a.dtype)
        return grad_a, multiply(a.transpose(1, 2), t, ctx.half).to(b.dtype), None


def _wide(a: Tensor, b: Tensor) -> Tensor:
    if a.is_cuda and _FLOAT32_SUMS:
        return torch.bmm(a, b, out_dtype=torch.float32)
    with autocast_off(a.device):
        return torch.bmm(a, b).float()


def _at_most_1(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return x as float16 of magnitude at most 1, and the power of two that it was divided by."""
    if x.numel() == 0:
        return x.half(), x.new_ones((), dtype=torch.float32)
    wide = x.float()
    exponent = torch.frexp(wide.abs().amax()).exponent
    return (wide * torch.exp2(-exponent)).half(), torch.exp2(exponent)
