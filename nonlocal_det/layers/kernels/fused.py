"""torch's fused attention with one head, for the two softmax forms."""

import torch.nn.functional as F
from torch import Tensor

from .operands import Operands


def sdpa(operands: Operands) -> Tensor:
    """The response by ``scaled_dot_product_attention``; the softmax forms.

    Both forms are the same product, so the function and w_f do not matter.

    Note:
        O(P Q Ci) time; O(P + Q) memory where torch has a fused path for the width and device,
        O(P Q) where it has not (on CUDA flash attention stops at width 256).
    """
    o = operands
    # Only rows that lie together in memory take a fused path; convolutions give the transpose.
    theta, phi, g = (t.to(o.g.dtype).contiguous() for t in (o.theta, o.phi, o.g))
    mask = None if o.key_mask is None else o.key_mask[:, None, None, :]  # (N, 1, 1, Q)
    # (N, 1, P, Ci), (N, 1, Q, Ci), (N, 1, Q, Cg) -> (N, 1, P, Cg)
    return F.scaled_dot_product_attention(
        theta.unsqueeze(1), phi.unsqueeze(1), g.unsqueeze(1), mask, scale=o.scale
    ).squeeze(1)
