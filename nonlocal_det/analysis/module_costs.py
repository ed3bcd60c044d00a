"""The cost of every module of a model, run on tensors that have shapes and no numbers."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode
from detectron2.layers import DeformConv, ModulatedDeformConv
from detectron2.modeling import build_model
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from .operation_counts import ModulePath, OperationCounter, SavedBytes

DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class Cost:
    """What a module or a group of modules costs, at batch 1 in float32.

    Args:
        parameters: numbers; frozen ones too, but not the buffers of a FrozenBN.
        multiply_adds: of convolutions and matrix products in one inference; FLOPs are twice that.
        other_operations: additions, comparisons, exponentials and so on in one inference.
        saved_bytes: what autograd keeps for the backward pass in one training step.
        largest_bytes: the largest tensor that one operator makes in an inference.
    """

    parameters: int = 0
    multiply_adds: int = 0
    other_operations: int = 0
    saved_bytes: int = 0
    largest_bytes: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        """Of both together; the largest tensor is the larger one."""
        return Cost(
            self.parameters + other.parameters,
            self.multiply_adds + other.multiply_adds,
            self.other_operations + other.other_operations,
            self.saved_bytes + other.saved_bytes,
            max(self.largest_bytes, other.largest_bytes),
        )


def extra_work(whole: Cost, blocks: Cost) -> float:
    """The NL blocks' multiply-adds as a share of those of the model without them."""
    return blocks.multiply_adds / (whole.multiply_adds - blocks.multiply_adds)


@dataclass(frozen=True)
class ModelCosts:
    """The costs of one model.

    Args:
        name: of the config.
        device: whose kernels were counted.
        inference: what its operations were counted on.
        training: what its activation memory was counted on.
        parts: by name of `PARTS`, each with the NL blocks that are in it.
        blocks: each NL block by its full name; they are within their parts too.
        unknown: operators that no formula knows, with how often they ran; not in the counts.
    """

    name: str
    device: str
    inference: Any
    training: Any
    parts: dict[str, Cost]
    blocks: dict[str, Cost]
    unknown: dict[str, int]

    @property
    def total(self) -> Cost:
        """Of the whole model."""
        return sum(self.parts.values(), Cost())

    @property
    def all_blocks(self) -> Cost:
        """Of its NL blocks together."""
        return sum(self.blocks.values(), Cost())

    @property
    def extra(self) -> float:
        """See `extra_work`."""
        return extra_work(self.total, self.all_blocks)

    def as_dict(self) -> dict[str, Any]:
        """All numbers, as plain data."""
        sums = {"total": asdict(self.total), "all_blocks": asdict(self.all_blocks)}
        return {**asdict(self), **sums, "extra": self.extra}


_PARTS = (
    (r"backbone\.(?:bottom_up\.)?(stem|res\d|pool2)\b", r"\1"),
    (r"backbone\b", "fpn"),
    (r"proposal_generator\b", "rpn"),
    (r"roi_heads\.(box|mask|keypoint)_", r"\1 head"),
    (r"head\b", "head"),
)
PARTS = (
    *("stem", "res2", "pool2", "res3", "res4", "res5", "fpn", "rpn"),
    *("box head", "mask head", "keypoint head", "head"),
)
"""In the order in which an image or a clip runs through them."""


def part_of(module: str) -> str:
    """The part of a model that a module belongs to; empty for the model itself.

    Example:
        >>> part_of("backbone.bottom_up.res4.nl4.theta")
        'res4'
    """
    matches = ((re.match(pattern, module), part) for pattern, part in _PARTS)
    return next((match.expand(part) for match, part in matches if match), "")


def by_part(
    costs: Mapping[str, Cost], blocks: Sequence[str]
) -> tuple[dict[str, Cost], dict[str, Cost]]:
    """Add up the costs of modules by name: of each part, and of each NL block within them."""
    parts: dict[str, Cost] = defaultdict(Cost)
    of_blocks = dict.fromkeys(blocks, Cost())
    for module, cost in costs.items():
        parts[part_of(module)] += cost
        for block in blocks:
            if f"{module}.".startswith(f"{block}."):
                of_blocks[block] += cost
    return {part: parts[part] for part in PARTS if parts[part] != Cost()}, of_blocks


def module_costs(
    model: nn.Module,
    inference: Callable[[ModulePath], object],
    training: Callable[[ModulePath], object] | None,
    device: str = "cpu",
) -> tuple[dict[str, Cost], dict[str, int]]:
    """Run a model on fake tensors and count.

    Neither memory nor a GPU is needed: the tensors only claim to be on ``device``, so that
    ``KERNEL: auto`` and torch choose as they do there.

    Args:
        model: on the meta device; useless afterwards.
        inference: runs it; what it returns is kept until the end, as for a backward pass.
        training: runs it as far as the losses; None: ``saved_bytes`` is 0.
        device: one of `DEVICES`.

    Returns:
        The cost of each module by name, without its children; and how often each operator ran that
        no formula knows.

    Raises:
        ValueError: `device` is not in DEVICES.
    """
    if device not in DEVICES:
        raise ValueError(f"--device {device!r}; expected one of {', '.join(DEVICES)}")
    path = ModulePath()
    with FakeTensorMode(), _CudaAttention(), path.watching(model):
        _fake_parameters(model, torch.device(device))
        counter, saved = OperationCounter(path), SavedBytes(model, path)
        model.eval()
        with torch.no_grad(), counter:
            inference(path)
        if training is not None:
            model.train()
            with torch.enable_grad(), saved.watching():
                outputs = training(path)
            del outputs
    costs = {
        name: Cost(
            sum(parameter.numel() for parameter in module.parameters(recurse=False)),
            counter.multiply_adds[name],
            counter.others[name],
            saved.bytes[name],
            counter.largest[name],
        )
        for name, module in model.named_modules()
    }
    return costs, dict(counter.unknown)


def build_on_meta(cfg: CfgNode) -> nn.Module:
    """Build the model of a config on the meta device: no memory, no initialisation."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        return build_model(cfg)


def layer_cost(build: Callable[[], nn.Module], *shape: int, device: str = "cpu") -> Cost:
    """The cost of one layer on a map of a given shape.

    Args:
        build: makes the layer.
        shape: (N, C, *S) of its input.
        device: one of `DEVICES`.

    Example:
        >>> layer_cost(lambda: nn.Conv2d(1024, 512, 1), 1, 1024, 50, 84).multiply_adds
        2202009600
    """
    with torch.device("meta"):
        layer = build()

    def run(path: ModulePath) -> object:
        learning = torch.is_grad_enabled()
        return layer(torch.empty(shape, device=device, requires_grad=learning))

    return sum(module_costs(layer, run, run, device)[0].values(), Cost())


def _fake_parameters(model: nn.Module, device: torch.device) -> None:
    """Replace the parameters and buffers by fake ones on ``device``.

    A deformable convolution becomes a plain one of the same shape: Detectron2's operators do not
    run on fake tensors. Its multiply-adds are the same; the sampling is not counted.
    """
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            fake = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
            module._parameters[name] = nn.Parameter(fake, requires_grad=parameter.requires_grad)
        for name, buffer in module.named_buffers(recurse=False):
            module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype, device=device)
        if isinstance(module, DeformConv | ModulatedDeformConv):
            module.forward = partial(_plain_convolution, module)


def _plain_convolution(m: Any, x: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
    bias = getattr(m, "bias", None)
    y = F.conv2d(x, m.weight, bias, m.stride, m.padding, m.dilation, m.groups)
    for after in (m.norm, m.activation):
        y = y if after is None else after(y)
    return y


class _CudaAttention(TorchFunctionMode):
    """Without a GPU, counts ``scaled_dot_product_attention`` on CUDA as CUDA's own kernel.

    torch asks the GPU which kernel it can run, and without one falls back to the form with the
    P x Q matrix. In float32 a GPU takes the memory-efficient kernel (flash attention and cuDNN's
    are for half precision), so that one is run here; with a mask torch decides.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one function of torch, the attention by its memory-efficient kernel."""
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention or torch.cuda.is_available():
            return func(*args, **kwargs)
        q, k, v, *rest = args
        mask = rest[0] if rest else kwargs.get("attn_mask")
        if q.device.type != "cuda" or mask is not None:
            return func(*args, **kwargs)
        y, *_ = torch.ops.aten._scaled_dot_product_efficient_attention(
            q, k, v, None, torch.is_grad_enabled(), scale=kwargs.get("scale")
        )
        return y
