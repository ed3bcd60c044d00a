"""The dot product is associative: no P x Q matrix is needed."""

import torch
from torch import Tensor

from nonlocal_det.layers.checks import autocast_off

from .operands import Operands


def factored(operands: Operands) -> Tensor:
    """``theta (phi^T g) / Q``, or ``(theta phi^T) g / Q`` where that is cheaper; dot_product.

    *Source*: Wang et al., Non-local Neural Networks, Eq. 4, re-associated.

    Note:
        O((P + Q) Ci Cg) time and Ci Cg memory, or O(P Q (Ci + Cg)) and P Q: the smaller count of
        multiply-adds decides. In float32 the two orders round differently (about 1e-6).
    """
    theta, phi, _ = operands.in_float32()
    g = operands.real_g() * operands.scale / operands.counts()
    (p, ci), (q, cg) = theta.shape[1:], g.shape[1:]
    with autocast_off(g.device):
        if (p + q) * ci * cg <= p * q * (ci + cg):
            summed = torch.matmul(phi.transpose(1, 2), g)  # (N, Ci, Q) @ (N, Q, Cg) -> (N, Ci, Cg)
            return torch.matmul(theta, summed)  # (N, P, Ci) @ (N, Ci, Cg) -> (N, P, Cg)
        products = torch.matmul(theta, phi.transpose(1, 2))  # (N, P, Ci) @ (N, Ci, Q)
        return torch.matmul(products, g)  # (N, P, Q) @ (N, Q, Cg) -> (N, P, Cg)
