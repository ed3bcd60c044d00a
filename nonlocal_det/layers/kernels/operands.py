"""What every kernel takes, checked once, and what they all derive from it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nonlocal_det.layers.pairwise import check_w_f
from nonlocal_det.layers.precision import HALF


@dataclass(frozen=True)
class Operands:
    """The right-hand side of Eq. 1 for a batch; see `response` for the shapes."""

    theta: Tensor
    phi: Tensor
    g: Tensor
    pairwise: str
    scale: float = 1.0
    w_f: Tensor | None = None
    key_mask: Tensor | None = None

    def check(self) -> None:
        """Refuse what no kernel can compute.

        Raises:
            ValueError: see `response`.
        """
        if self.pairwise == "concatenation":
            check_w_f(self.w_f)
        dtypes = {self.theta.dtype, self.phi.dtype, self.g.dtype}
        if len(dtypes) > 1 and not _autocast_mixes(self.pairwise, dtypes):
            raise ValueError(
                f"theta, phi and g have dtypes {self.theta.dtype}, {self.phi.dtype}, "
                f"{self.g.dtype}; give them the same"
            )
        mask = self.key_mask
        if mask is None:
            return
        if mask.shape != self.phi.shape[:2] or mask.dtype != torch.bool:
            raise ValueError(
                f"key_mask is {mask.dtype} of shape {tuple(mask.shape)}; expected bool of shape "
                f"{tuple(self.phi.shape[:2])} (N, Q)"
            )
        if not torch.compiler.is_compiling() and not bool(mask.any(1).all()):
            raise ValueError("key_mask leaves an image without a key; each needs at least one")

    def narrowed(self) -> "Operands":
        """Return the operands with theta and phi in g's half precision: autocast narrows no x."""
        dtype = self.g.dtype
        if dtype not in HALF or self.theta.dtype == self.phi.dtype == dtype:
            return self
        return replace(self, theta=self.theta.to(dtype), phi=self.phi.to(dtype))

    def real_g(self) -> Tensor:
        """Return g, 0 where the key is not real."""
        return self.g if self.key_mask is None else self.g * self.key_mask.unsqueeze(2)

    def counts(self) -> int | Tensor:
        """Q: the number of keys, or of real keys an image (N, 1, 1)."""
        if self.key_mask is None:
            return self.phi.shape[1]
        dtype = torch.promote_types(self.g.dtype, torch.float32)
        return self.key_mask.sum(1).view(-1, 1, 1).to(dtype)


Kernel = Callable[[Operands], Tensor]


def _autocast_mixes(pairwise: str, dtypes: set[torch.dtype]) -> bool:
    """In the gaussian form theta and phi are x, which autocast leaves in float32."""
    half = {torch.float16, torch.bfloat16}
    return pairwise == "gaussian" and torch.float32 in dtypes and dtypes <= half | {torch.float32}
