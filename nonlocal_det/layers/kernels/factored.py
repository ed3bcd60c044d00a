"""The dot product is associative: no P x Q matrix is needed."""

from torch import Tensor

from nonlocal_det.layers.precision import product

from .operands import Operands


def factored(operands: Operands) -> Tensor:
    """``theta (phi^T g) / Q``, or ``(theta phi^T) g / Q`` where that is cheaper; dot_product.

    *Source*: Wang et al., Non-local Neural Networks, Eq. 4, re-associated.

    Note:
        O((P + Q) Ci Cg) time and Ci Cg memory, or O(P Q (Ci + Cg)) and P Q: the smaller count of
        multiply-adds decides. In float32 the two orders round differently (about 1e-6).
    """
    theta, phi, g, dtype = operands.theta, operands.phi, operands.real_g(), operands.phi.dtype
    factor = operands.scale / operands.counts()
    (p, ci), (q, cg) = theta.shape[1:], g.shape[1:]
    if (p + q) * ci * cg > p * q * (ci + cg):
        products = product(theta, phi.transpose(1, 2), dtype) * factor  # (N, P, Ci) @ (N, Ci, Q)
        return product(products, g, dtype)  # (N, P, Q) @ (N, Q, Cg) -> (N, P, Cg)
    summed = product(g.transpose(1, 2), phi, dtype) * factor  # (N, Cg, Q) @ (N, Q, Ci)
    # Transposed, as the convolutions hold theta and want y: nothing is copied.
    y = product(summed, theta.transpose(1, 2), dtype)  # (N, Cg, Ci) @ (N, Ci, P) -> (N, Cg, P)
    return y.transpose(1, 2)
