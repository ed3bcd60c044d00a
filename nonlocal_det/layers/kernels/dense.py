"""The reference: the P x Q matrix, then one product."""

from torch import Tensor

from nonlocal_det.layers.pairwise import affinity
from nonlocal_det.layers.precision import product

from .operands import Operands


def dense(operands: Operands) -> Tensor:
    """The response by the P x Q matrix; all functions.

    Note:
        O(P Q Ci) time; O(P Q) memory, several times over in the backward pass.
    """
    o = operands
    weights = affinity(
        o.theta, o.phi, pairwise=o.pairwise, scale=o.scale, w_f=o.w_f, key_mask=o.key_mask
    )
    return product(weights, o.real_g(), o.phi.dtype)  # (N, P, Q) @ (N, Q, Cg) -> (N, P, Cg)
