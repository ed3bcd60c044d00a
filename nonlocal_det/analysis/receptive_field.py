"""How far a backbone sees, measured on a network of the same geometry: for any ResNet and FPN."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from detectron2.layers import FrozenBatchNorm2d
from detectron2.modeling import Backbone
from torch import Tensor, nn

from nonlocal_det.layers import nonlocal_blocks

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, FrozenBatchNorm2d)
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_LARGEST = 2**15

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class ReceptiveField:
    """The square of pixels that an output position can depend on.

    Args:
        size: its side in pixels; where the positions of an FPN level differ, the union over them,
            each around its own middle.
        stride: pixels between neighbouring positions.
        offset: pixels from i * stride, the index of a pixel, to the middle of position i's field.
    """

    size: int
    stride: int
    offset: float


def receptive_fields(backbone: Backbone) -> dict[str, ReceptiveField]:
    """Measure the theoretical receptive field of every output of a built backbone.

    In its `one_channel` copy, a binary search finds the first and the last column of pixels that a
    position in the middle sees. The field is a bound: a trained network uses less of it.

    Args:
        backbone: a ResNet or an FPN of Detectron2, on any device, the meta device too; not changed.

    Returns:
        By the names of its outputs. Inserted blocks are left out: they see the whole map.

    Raises:
        ValueError: a layer has no fixed reach, as a deformable convolution, or a field has no end.
    """
    probe = one_channel(backbone)
    strides: dict[str, int] = {n: shape.stride for n, shape in backbone.output_shape().items()}
    coarsest = max(strides.values())
    fields = {}
    for name, stride in strides.items():
        width = 4 * coarsest
        while (field := _search(probe, name, stride, width, coarsest)) is None:
            width *= 2
            if width > _LARGEST:
                raise ValueError(
                    f"output {name!r} sees all of {width // 2} pixels; its receptive field has no "
                    "end that could be found"
                )
        fields[name] = field
    return fields


def one_channel(network: Network) -> Network:
    """Copy a network's geometry with one channel, without norms and inserted blocks.

    All weights are positive: an output is above 0 exactly where it sees an input that is.

    Raises:
        ValueError: a layer has parameters and is neither a square plain convolution nor a norm.
    """
    probe = copy.deepcopy(network)
    for name in nonlocal_blocks(probe):
        parent, _, leaf = name.rpartition(".")
        setattr(probe.get_submodule(parent), leaf, nn.Identity())
    for module in list(probe.modules()):
        for name, child in module.named_children():
            if isinstance(child, _NORMS):
                setattr(module, name, nn.Identity())
    for path, module in probe.named_modules():
        if not any(True for _ in module.parameters(recurse=False)):
            continue
        if not isinstance(module, _CONVOLUTIONS) or len(set(module.kernel_size)) > 1:
            raise ValueError(
                f"{path} is a {module}; receptive fields are measured for square plain "
                "convolutions, poolings and norms"
            )
        weight = torch.ones(1, 1, *module.kernel_size, dtype=torch.float64)
        module.weight = nn.Parameter(weight / weight.numel(), requires_grad=False)
        module.bias, module.groups = None, 1
    return probe.eval()


def _search(
    probe: nn.Module, name: str, stride: int, width: int, period: int
) -> ReceptiveField | None:
    """The field in an image of this width; None where it reaches the border.

    An FPN's positions differ and repeat after a ``period``, the stride of its coarsest level.
    """
    columns = torch.arange(width)
    positions = (width // 2 + torch.arange(0, period, stride)) // stride

    def sees(lit: Tensor) -> Tensor:
        """Whether position k sees any of the columns lit[k] (width); (K, width) -> (K)."""
        image = lit.double().view(len(lit), 1, 1, width).expand(-1, -1, period, -1)
        out: Tensor = probe(image)[name]  # (K, 1, H, W)
        return out[range(len(lit)), 0, 0, positions] > 0

    # below the first column that is seen nothing is; above the last one neither
    first = _first_true(lambda t: sees(columns <= t[:, None]), len(positions), width)
    last = (
        width
        - 1
        - _first_true(lambda t: sees(columns >= width - 1 - t[:, None]), len(positions), width)
    )
    if first.min() <= 0 or last.max() >= width - 1:
        return None
    left, right = (positions * stride - first).max(), (last - positions * stride).max()
    return ReceptiveField(int(left + right + 1), stride, float(right - left) / 2)


def _first_true(holds: Callable[[Tensor], Tensor], count: int, size: int) -> Tensor:
    """By bisection, the smallest number in 0..size - 1 for which each of ``count`` tests holds."""
    low, high = torch.full((count,), -1), torch.full((count,), size - 1)
    while (high - low).max() > 1:
        middle = (low + high) // 2
        true = holds(middle)
        low, high = torch.where(true, low, middle), torch.where(true, middle, high)
    return high
