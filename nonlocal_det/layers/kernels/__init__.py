"""Ways to compute the response y: one formula, `dense` as the reference, the others exact.

All take the same operands and give the same numbers; they differ in time and memory.
"""

import torch
from torch import Tensor

from nonlocal_det.layers.pairwise import PAIRWISE, SOFTMAX

from .auto import choose
from .chunked import chunked
from .dense import dense
from .factored import factored
from .operands import Kernel, Operands
from .sdpa import sdpa
from .sorted_keys import sorted_keys

KERNELS: dict[str, tuple[Kernel, tuple[str, ...]]] = {
    "dense": (dense, PAIRWISE),
    "sdpa": (sdpa, SOFTMAX),
    "chunked": (chunked, PAIRWISE),
    "factored": (factored, ("dot_product",)),
    "sorted": (sorted_keys, ("concatenation",)),
}
"""Name -> (the kernel, the pairwise functions it serves)."""

__all__ = ["KERNELS", "Operands", "kernels_for", "response", "run_kernel"]


def kernels_for(pairwise: str) -> tuple[str, ...]:
    """Return the names of the kernels that serve a function, one of `PAIRWISE`."""
    return tuple(name for name, (_, serves) in KERNELS.items() if pairwise in serves)


def response(
    theta: Tensor,
    phi: Tensor,
    g: Tensor,
    *,
    pairwise: str,
    kernel: str = "auto",
    scale: float = 1.0,
    w_f: Tensor | None = None,
    key_mask: Tensor | None = None,
) -> Tensor:
    """Compute ``y_i = 1 / C(x) * sum_j f(x_i, x_j) g(x_j)``.

    *Source*: Wang et al., Non-local Neural Networks, Eq. 1.

    Args:
        theta: the embedded queries.
        phi: the embedded keys, after subsampling.
        g: what each key position gives, after subsampling.
        pairwise: f, one of `PAIRWISE`.
        kernel: how to compute it, ``"auto"`` or a name of `KERNELS`.
        scale: a factor on theta_i . phi_j.
        w_f: the weight vector of the concatenation.
        key_mask: True where a key is real; the others do not exist: they weigh nothing and are not
            counted. None: all are.

    Shape:
        theta (N, P, Ci), phi (N, Q, Ci), g (N, Q, Cg), w_f (2 Ci), key_mask (N, Q) -> (N, P, Cg).

    Returns:
        The response in g's dtype; but in float32 where a float16 response may overflow: an average
        of g cannot, a sum weighted by unbounded products (dot_product, concatenation) can.

    Raises:
        ValueError: an unknown name, a kernel that cannot serve the function, no w_f for the
            concatenation, operands of different dtypes, or a mask of another shape or with an image
            that has no key.
        torch.cuda.OutOfMemoryError: torch's own, with the kernel and the sizes.
    """
    if pairwise not in PAIRWISE:
        raise ValueError(f"pairwise={pairwise!r}; expected one of {', '.join(PAIRWISE)}")
    if kernel not in ("auto", *kernels_for(pairwise)):
        able = ", ".join(("auto", *kernels_for(pairwise)))
        raise ValueError(f"kernel={kernel!r} cannot serve pairwise={pairwise!r}; use {able}")
    operands = Operands(theta, phi, g, pairwise, scale, w_f, key_mask)
    operands.check()
    return run_kernel(kernel, operands)


def run_kernel(kernel: str, operands: Operands) -> Tensor:
    """Compute the response of operands that a block has made, without checking them again.

    Args:
        kernel: ``"auto"`` or a name of `KERNELS` that serves the operands' function.
        operands: see `response`.

    Returns:
        As `response`.

    Raises:
        torch.cuda.OutOfMemoryError: torch's own, with the kernel and the sizes.
        NotImplementedError: torch's own, with the kernel, for a dtype that it cannot multiply.
    """
    operands = operands.narrowed()
    chosen, g = choose(operands) if kernel == "auto" else kernel, operands.g
    try:
        y = KERNELS[chosen][0](operands)
    except torch.cuda.OutOfMemoryError as error:
        raise type(error)(f"{error}\n{_sizes(operands, chosen)}") from error
    except NotImplementedError as error:
        where = f"kernel={chosen!r}, {g.dtype} on {g.device.type}"
        raise NotImplementedError(f"{error} ({where} of a non-local block)") from error
    if g.dtype == torch.float16 and operands.pairwise not in SOFTMAX:
        return y
    return y.to(g.dtype)


def _sizes(o: Operands, chosen: str) -> str:
    """Say what a kernel ran out of memory with, and which one needs less."""
    (n, p), q = o.theta.shape[:2], o.phi.shape[1]
    mib = n * p * q * max(4, o.theta.element_size()) / 2**20
    leaner = [n for n in ("factored", "sorted", "chunked") if n in kernels_for(o.pairwise)]
    cure = f"kernel={leaner[0]!r} does not build it; " if chosen in ("dense", "sdpa") else ""
    return (
        f"Out of memory in a non-local block: pairwise={o.pairwise!r}, kernel={chosen!r}, {n} x "
        f"{p} queries x {q} keys of width {o.theta.shape[2]}, {mib:.0f} MiB as a matrix; {cure}"
        "subsample='after' takes a quarter of the keys, smaller images take fewer of both"
    )
