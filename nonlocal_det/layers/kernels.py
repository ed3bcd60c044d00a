"""Ways to compute the response y: one formula, `dense` as the reference, the others exact."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import at_least_float32, autocast_off, one_of
from .pairwise import PAIRWISE, SOFTMAX, affinity

Kernel = Callable[[Tensor, Tensor, Tensor, str, float, Tensor | None], Tensor]


def dense(
    theta: Tensor, phi: Tensor, g: Tensor, pairwise: str, scale: float, w_f: Tensor | None
) -> Tensor:
    """The response by the P x Q matrix; all functions. O(P Q Ci) time, O(P Q) memory."""
    weights = affinity(theta, phi, pairwise=pairwise, scale=scale, w_f=w_f)
    with autocast_off(g.device):
        return torch.matmul(weights, at_least_float32(g))  # (N, P, Q) @ (N, Q, Ci) -> (N, P, Ci)


def sdpa(
    theta: Tensor, phi: Tensor, g: Tensor, pairwise: str, scale: float, w_f: Tensor | None
) -> Tensor:
    """The response by torch's fused attention with one head; the softmax forms.

    O(P Q Ci) time; O(P + Q) memory where a fused path exists. `pairwise` and `w_f` do not matter:
    both softmax forms are the same product.
    """
    # (N, 1, P, Ci), (N, 1, Q, Ci), (N, 1, Q, Ci) -> (N, 1, P, Ci)
    return F.scaled_dot_product_attention(
        theta.unsqueeze(1), phi.unsqueeze(1), g.unsqueeze(1), scale=scale
    ).squeeze(1)


KERNELS: dict[str, tuple[Kernel, tuple[str, ...]]] = {
    "dense": (dense, PAIRWISE),
    "sdpa": (sdpa, SOFTMAX),
}
"""Name -> (the kernel, the pairwise functions it serves)."""


def resolve_kernel(kernel: str, pairwise: str) -> str:
    """The name of the kernel that will run.

    Args:
        kernel: ``"auto"`` or a name of `KERNELS`.
        pairwise: one of `PAIRWISE`.

    Raises:
        ValueError: the kernel is unknown or cannot serve the function; lists those that can.
    """
    one_of("kernel", kernel, ("auto", *KERNELS))
    if kernel == "auto":
        return "sdpa" if pairwise in SOFTMAX else "dense"
    if pairwise not in KERNELS[kernel][1]:
        able = ", ".join(name for name, (_, serves) in KERNELS.items() if pairwise in serves)
        raise ValueError(f"kernel={kernel!r} cannot serve pairwise={pairwise!r}; use auto, {able}")
    return kernel


def response(
    theta: Tensor,
    phi: Tensor,
    g: Tensor,
    *,
    pairwise: str,
    kernel: str = "auto",
    scale: float = 1.0,
    w_f: Tensor | None = None,
) -> Tensor:
    """``y_i = 1 / C(x) * sum_j f(x_i, x_j) g(x_j)``.

    *Source*: Wang et al., Non-local Neural Networks, Eq. 1.

    Args:
        theta: the embedded queries.
        phi: the embedded keys, after subsampling.
        g: what each key position gives, after subsampling.
        pairwise: f, one of `PAIRWISE`.
        kernel: how to compute it, ``"auto"`` or a name of `KERNELS`.
        scale: a factor on theta_i . phi_j.
        w_f: the weight vector of the concatenation.

    Shape:
        theta (N, P, Ci), phi (N, Q, Ci), g (N, Q, Cg), w_f (2 Ci) -> (N, P, Cg).

    Returns:
        The response in g's dtype; but in float32 where a float16 response may overflow: an average
        of g cannot, a sum weighted by unbounded products (dot_product, concatenation) can.

    Raises:
        ValueError: an unknown name, or a kernel that cannot serve the function.
    """
    compute = KERNELS[resolve_kernel(kernel, pairwise)][0]
    y = compute(theta, phi, g, pairwise, scale, w_f)
    if g.dtype == torch.float16 and pairwise not in SOFTMAX:
        return y
    return y.to(g.dtype)
