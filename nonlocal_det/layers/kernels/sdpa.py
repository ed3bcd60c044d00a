"""torch's fused attention with one head, for the two softmax forms."""

import logging

import torch
import torch.nn.functional as F
from torch import Tensor

from .chunked import chunked
from .operands import Operands

logger = logging.getLogger("nonlocal_det")
_logged: set[str] = set()


def sdpa(operands: Operands) -> Tensor:
    """The response by ``scaled_dot_product_attention``; the softmax forms.

    Both forms are the same product, so the function and w_f do not matter. Where torch has no fused
    path for the operands, `chunked` computes the same numbers, and a line in the log says so, once.

    Note:
        O(P Q Ci) time, O(P + Q) memory.
    """
    o = operands
    if not is_fused(o):
        _log_why(o)
        return chunked(o)
    # Only rows that lie together in memory take a fused path; convolutions give the transpose.
    theta, phi, g = (x.contiguous().unsqueeze(1) for x in (o.theta, o.phi, o.g))
    mask = None if o.key_mask is None else o.key_mask[:, None, None, :]  # (N, 1, 1, Q)
    # (N, 1, P, Ci), (N, 1, Q, Ci), (N, 1, Q, Cg) -> (N, 1, P, Cg)
    return F.scaled_dot_product_attention(theta, phi, g, mask, scale=o.scale).squeeze(1)


def is_fused(operands: Operands) -> bool:
    """Ask torch whether it has an attention for such operands that builds no P x Q matrix.

    In a graph that is being compiled or traced, or without numbers as in an analysis, torch cannot
    be asked: then it is assumed for keys and values of equal width.
    """
    o = operands
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or _has_no_numbers(o.theta):
        return o.phi.shape[2] == o.g.shape[2]
    theta, phi, g = (  # the widths, the dtype and the device decide
        x.new_empty(1, 1, 8, x.shape[2]).requires_grad_(x.requires_grad)
        for x in (o.theta, o.phi, o.g)
    )
    mask = None if o.key_mask is None else o.key_mask.new_ones(1, 1, 1, 8)
    return bool(torch._fused_sdp_choice(theta, phi, g, mask) != 0)  # 0: the math path


def _has_no_numbers(x: Tensor) -> bool:
    return type(x) is not Tensor or x.device.type == "meta"


def _log_why(o: Operands) -> None:
    line = (
        f"kernel='sdpa': torch has no fused attention on {o.g.device.type} in "
        f"{str(o.g.dtype).removeprefix('torch.')} for keys of width {o.phi.shape[2]} and values "
        f"of width {o.g.shape[2]}; kernel='chunked' computes the same numbers"
    )
    if line not in _logged and not (torch.compiler.is_compiling() or torch.jit.is_tracing()):
        _logged.add(line)
        logger.warning(line)
