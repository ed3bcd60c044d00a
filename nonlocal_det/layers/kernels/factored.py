"""The dot product is associative: no P x Q matrix is needed."""

import torch
from torch import Tensor

from nonlocal_det.layers.precision import autocast_off

from .operands import Operands


def factored(operands: Operands) -> Tensor:
    """``theta (phi^T g) / Q``, or ``(theta phi^T) g / Q`` where that is cheaper; dot_product.

    *Source*: Wang et al., Non-local Neural Networks, Eq. 4, re-associated.

    Note:
        O((P + Q) Ci Cg) time and Ci Cg memory, or O(P Q (Ci + Cg)) and P Q: the smaller count of
        multiply-adds decides. In float32 the two orders round differently (about 1e-6).
    """
    theta, phi, _ = operands.in_float32()
    g, factor = operands.real_g(), operands.scale / operands.counts()
    (p, ci), (q, cg) = theta.shape[1:], g.shape[1:]
    with autocast_off(g.device):
        if (p + q) * ci * cg > p * q * (ci + cg):
            products = torch.matmul(theta, phi.transpose(1, 2)) * factor  # (N, P, Ci) @ (N, Ci, Q)
            return torch.matmul(products, g)  # (N, P, Q) @ (N, Q, Cg) -> (N, P, Cg)
        summed = torch.matmul(g.transpose(1, 2), phi) * factor  # (N, Cg, Q) @ (N, Q, Ci)
        # Transposed, as the convolutions hold theta and want y: nothing is copied.
        y = torch.matmul(summed, theta.transpose(1, 2))  # (N, Cg, Ci) @ (N, Ci, P) -> (N, Cg, P)
        return y.transpose(1, 2)
