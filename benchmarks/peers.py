"""The same block as others build it, with the same weights: only the computation differs.

They are optional: ``pip install mmcv-lite timm``.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nonlocal_det.layers import NonLocalBlock
from nonlocal_det.layers.pairwise import check_w_f

if TYPE_CHECKING:
    from block import Case


class RepeatConcatenate(NonLocalBlock):
    """The concatenation as commonly written: every pair's 2 Ci features stand side by side."""

    def forward(self, x: Tensor) -> Tensor:
        """The map z (N, C, H, W), by a tensor of N x 2 Ci x P x Q."""
        theta, phi, g, _ = self.project(x)
        n, p, ci = theta.shape
        q = phi.shape[1]
        # (N, Ci, P, Q) twice -> (N, 2 Ci, P, Q)
        left = theta.transpose(1, 2).unsqueeze(3).repeat(1, 1, 1, q)
        right = phi.transpose(1, 2).unsqueeze(2).repeat(1, 1, p, 1)
        w_f = check_w_f(self.w_f).view(1, 2 * ci, 1, 1)
        f = nn.functional.conv2d(torch.cat([left, right], dim=1), w_f).relu()  # (N, 1, P, Q)
        y = torch.matmul(f.squeeze(1) / q, g)  # (N, P, Q) @ (N, Q, Ci)
        return x + self.norm(self.w_z(y.transpose(1, 2).unflatten(2, x.shape[2:])))


def _ours(case: "Case") -> nn.Module:
    return _block(NonLocalBlock, case)


def _repeat_concatenate(case: "Case") -> nn.Module:
    if case.pairwise != "concatenation":
        raise ValueError(f"pairwise={case.pairwise!r}; repeat_concatenate is a concatenation")
    return _block(RepeatConcatenate, case)


def _block(kind: type[NonLocalBlock], case: "Case") -> nn.Module:
    return kind(
        case.channels,
        pairwise=case.pairwise,
        kernel=case.kernel,
        subsample=case.subsample,
        scale=False,
        norm=case.norm,
        regions=case.regions,
    )


def _mmcv(case: "Case") -> nn.Module:
    from mmcv.cnn import NonLocal2d

    if case.norm or case.subsample == "before":
        raise ValueError("mmcv's block is compared without a norm, pooled after or not at all")
    pooled = case.subsample == "after"
    block: nn.Module = NonLocal2d(
        case.channels, use_scale=False, sub_sample=pooled, mode=case.pairwise
    )
    return block


def _timm(case: "Case") -> nn.Module:
    from timm.layers.non_local_attn import NonLocalAttn

    if (case.pairwise, case.subsample, case.norm) != ("embedded_gaussian", "none", "BN"):
        raise ValueError("timm's block is an embedded gaussian without pooling, with a batch norm")
    inner = case.channels // 2
    block: nn.Module = NonLocalAttn(case.channels, use_scale=False, rd_channels=inner)
    return block


IMPLEMENTATIONS: dict[str, Callable[["Case"], nn.Module]] = {
    "ours": _ours,
    "repeat_concatenate": _repeat_concatenate,
    "mmcv": _mmcv,
    "timm": _timm,
}

_NAMES = {
    "mmcv": {"theta": "theta.conv", "phi": "phi.conv", "g": "g.conv", "w_z": "conv_out.conv"},
    "timm": {"theta": "t", "phi": "p", "g": "g", "w_z": "z", "norm": "norm"},
}


def build(case: "Case") -> nn.Module:
    """The block of a case, with weights drawn anew.

    Raises:
        ValueError: an unknown implementation, or one that has not the case's function.
        ImportError: the peer is not installed.
    """
    if case.implementation not in IMPLEMENTATIONS:
        raise ValueError(
            f"implementation={case.implementation!r}; expected {', '.join(IMPLEMENTATIONS)}"
        )
    return IMPLEMENTATIONS[case.implementation](case)


def copy_weights(source: nn.Module, target: nn.Module, implementation: str) -> None:
    """Give a peer our block's weights.

    Raises:
        ValueError: a tensor of the peer got none, so the two cannot be the same function.
    """
    ours, theirs = source.state_dict(), target.state_dict()
    filled = {}
    for name, tensor in ours.items():
        layer, _, field = name.partition(".")
        peer = (
            name if implementation == "ours" else _peer_name(implementation, layer, field, theirs)
        )
        filled[peer] = tensor.view(theirs[peer].shape)
    left = [name for name in theirs if name not in filled]
    for name in left:  # a bias that our layer does without
        if not name.endswith("bias"):
            raise ValueError(f"{implementation}: nothing of ours fits {name}")
        filled[name] = torch.zeros_like(theirs[name])
    target.load_state_dict(filled)


def _peer_name(implementation: str, layer: str, field: str, theirs: dict[str, Tensor]) -> str:
    if implementation == "repeat_concatenate":
        return f"{layer}.{field}" if field else layer
    if layer == "w_f":
        return "concat_project.conv.weight"
    name = f"{_NAMES[implementation][layer]}.{field}"
    # mmcv's pooled phi and g are sequences of a convolution and a pooling
    return name if name in theirs else name.replace(".conv.", ".0.conv.")


def check_equal(ours: "Case", peer: "Case") -> float:
    """Refuse to compare different functions: both get equal weights and must agree on a small map.

    Returns:
        The largest difference of the two outputs, relative to the largest output.

    Raises:
        ValueError: the outputs differ by more than 1e-4.
    """
    torch.manual_seed(0)
    block, other = build(ours), build(peer)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.05)
    copy_weights(block, other, peer.implementation)
    x = torch.rand(2, ours.channels, 8, 10)
    with torch.no_grad():
        a, b = block.train()(x), other.train()(x)
    difference = float((a - b).abs().max() / a.abs().max())
    if difference > 1e-4 or torch.equal(a, x):
        raise ValueError(
            f"{peer.implementation} is another function: outputs differ by {difference:.1e}; "
            "scale, pooling and width must agree"
        )
    return difference
