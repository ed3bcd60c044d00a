"""The pairwise functions f(x_i, x_j) / C(x), dense and obvious: the reference of all kernels.

Letters: N batch, P query positions (i), Q key positions (j), Ci inner channels.
"""

import torch
from torch import Tensor

from .precision import at_least_float32, autocast_off, product

PAIRWISE = ("gaussian", "embedded_gaussian", "dot_product", "concatenation")
SOFTMAX = ("gaussian", "embedded_gaussian")
"""The two whose C(x) = sum_j f makes f / C a softmax over the keys; the others divide by Q."""


def affinity(
    theta: Tensor,
    phi: Tensor,
    *,
    pairwise: str,
    scale: float = 1.0,
    w_f: Tensor | None = None,
    key_mask: Tensor | None = None,
) -> Tensor:
    """Compute every f(x_i, x_j) / C(x), as a matrix.

    *Source*: Wang et al., Non-local Neural Networks, Eq. 1 and Sec. 3.2:

    - gaussian, embedded_gaussian: ``softmax_j(scale * theta_i . phi_j)`` (Eq. 2 and 3; in the
      gaussian form theta and phi are x itself)
    - dot_product: ``scale * theta_i . phi_j / Q`` (Eq. 4)
    - concatenation: ``ReLU(w_f . [theta_i, phi_j]) / Q`` (Eq. 5)

    Args:
        theta: the embedded queries.
        phi: the embedded keys, after subsampling.
        pairwise: one of `PAIRWISE`.
        scale: a factor on theta_i . phi_j; the concatenation has no such product and ignores it.
        w_f: the weight vector of the concatenation.
        key_mask: True where a key is real; the others weigh 0 and do not count in Q.

    Shape:
        theta (N, P, Ci), phi (N, Q, Ci), w_f (2 Ci), key_mask (N, Q) -> (N, P, Q).

    Returns:
        The affinities, in float32 for half-precision input, which is multiplied as it is: a product
        of two large features leaves float16's range (65504) long before it leaves the network's.

    Raises:
        ValueError: ``pairwise`` is unknown, or the concatenation has no ``w_f``.

    Note:
        O(P Q Ci) time and P Q memory. The concatenation is computed as
        ``ReLU(w_theta . theta_i + w_phi . phi_j)``, which is the same number without the
        2 Ci x P x Q tensor.
    """
    if pairwise not in PAIRWISE:
        raise ValueError(f"pairwise={pairwise!r}; expected one of {', '.join(PAIRWISE)}")
    if pairwise == "concatenation":
        a, b = split_w_f(theta, phi, w_f)
        f = torch.relu(a.unsqueeze(2) + b.unsqueeze(1))  # (N, P, 1) + (N, 1, Q)
    else:
        # (N, P, Ci) @ (N, Ci, Q) -> (N, P, Q)
        f = product(at_least_float32(theta) * scale, phi.transpose(1, 2), phi.dtype)
    if pairwise in SOFTMAX:
        if key_mask is not None:
            f = f.masked_fill(~key_mask.unsqueeze(1), float("-inf"))
        return f.softmax(dim=-1)
    if key_mask is None:
        return f / phi.shape[1]
    return f * key_mask.unsqueeze(1) / key_mask.sum(1).view(-1, 1, 1)


def split_w_f(theta: Tensor, phi: Tensor, w_f: Tensor | None) -> tuple[Tensor, Tensor]:
    """Compute the two terms of ``w_f . [theta_i, phi_j] = a_i + b_j``.

    Shape:
        theta (N, P, Ci), phi (N, Q, Ci), w_f (2 Ci) -> a (N, P), b (N, Q), in float32 at least.

    Raises:
        ValueError: there is no ``w_f``.
    """
    # as columns (Ci, 1): onnxruntime 1.31 multiplies a batch and a vector wrongly
    theta, phi = at_least_float32(theta), at_least_float32(phi)
    w_theta, w_phi = check_w_f(w_f).to(theta.dtype).unsqueeze(1).chunk(2)
    with autocast_off(theta.device):
        return torch.matmul(theta, w_theta).squeeze(2), torch.matmul(phi, w_phi).squeeze(2)


def check_w_f(w_f: Tensor | None) -> Tensor:
    """Return the weights of the concatenation, or raise ValueError where there are none."""
    if w_f is None:
        raise ValueError("pairwise='concatenation' needs w_f, the weights of [theta_i, phi_j]")
    return w_f
