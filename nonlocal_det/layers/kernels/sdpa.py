"""torch's fused attention with one head, for the two softmax forms."""

import logging

import torch
import torch.nn.functional as F
from torch import Tensor

from .operands import Operands

logger = logging.getLogger("nonlocal_det")
_logged: set[str] = set()


def sdpa(operands: Operands) -> Tensor:
    """The response by ``scaled_dot_product_attention``; the softmax forms.

    Both forms are the same product, so the function and w_f do not matter. Where torch has no fused
    path for the operands, it builds the matrix: the same numbers, and a line in the log, once.

    Note:
        O(P Q Ci) time; O(P + Q) memory where torch has a fused path for the width and device,
        O(P Q) where it has not (on CUDA flash attention stops at width 256).
    """
    o = operands
    # Only rows that lie together in memory take a fused path; convolutions give the transpose.
    theta, phi, g = (t.to(o.g.dtype).contiguous().unsqueeze(1) for t in (o.theta, o.phi, o.g))
    mask = None if o.key_mask is None else o.key_mask[:, None, None, :]  # (N, 1, 1, Q)
    numbers = type(theta) is Tensor  # a tensor without any, as in an analysis, takes no path
    if numbers and not (torch.compiler.is_compiling() or torch.jit.is_tracing()):
        _warn_if_not_fused(theta, phi, g, mask, o.scale)
    # (N, 1, P, Ci), (N, 1, Q, Ci), (N, 1, Q, Cg) -> (N, 1, P, Cg)
    return F.scaled_dot_product_attention(theta, phi, g, mask, scale=o.scale).squeeze(1)


def _warn_if_not_fused(
    theta: Tensor, phi: Tensor, g: Tensor, mask: Tensor | None, scale: float
) -> None:
    if torch._fused_sdp_choice(theta, phi, g, mask, scale=scale) != 0:  # 0: the math path
        return
    line = (
        f"kernel='sdpa': torch has no fused attention on {theta.device.type} in "
        f"{str(g.dtype).removeprefix('torch.')} for keys of width {phi.shape[3]} and values of "
        f"width {g.shape[3]}; it builds the P x Q matrix (kernel='chunked' does not)"
    )
    if line not in _logged:
        _logged.add(line)
        logger.warning(line)
