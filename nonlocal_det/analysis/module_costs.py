"""The cost of every module of a model that is built without numbers and runs without numbers."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from .counting import ModulePath, OperationCounter, SavedBytes
from .fake import AttentionOfCuda, become_fake

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


def total(costs: dict[str, Cost], belongs: Callable[[str], bool] = lambda name: True) -> Cost:
    """The sum of the costs whose names belong."""
    return sum((cost for name, cost in costs.items() if belongs(name)), Cost())


def extra_work(whole: Cost, blocks: Cost) -> float:
    """The NL blocks' multiply-adds as a share of those of the detector without them."""
    return blocks.multiply_adds / (whole.multiply_adds - blocks.multiply_adds)


def module_costs(
    model: nn.Module,
    inference: Callable[[ModulePath], object],
    training: Callable[[ModulePath], object] | None,
    device: str = "cpu",
) -> tuple[dict[str, Cost], dict[str, int]]:
    """Run a model without numbers and count.

    No memory and no GPU is needed: its tensors only say that they are on ``device``, so that
    ``KERNEL: auto`` and torch choose as they do there.

    Args:
        model: on the meta device; made useless.
        inference: runs it; what it returns is kept alive until the end, as for a backward pass.
        training: runs it as far as the losses; None: nothing is said of ``saved_bytes``.
        device: one of `DEVICES`.

    Returns:
        The own cost of each module by name, children apart; and how often each operator ran that
        no formula knows.

    Raises:
        ValueError: an unknown device.
    """
    if device not in DEVICES:
        raise ValueError(f"--device {device!r}; expected one of {', '.join(DEVICES)}")
    path = ModulePath()
    with FakeTensorMode(), AttentionOfCuda(), path.watching(model):
        become_fake(model, torch.device(device))
        counter, saved = OperationCounter(path), SavedBytes(model, path)
        model.eval()
        with torch.no_grad(), counter:
            inference(path)
        if training is not None:
            model.train()
            with torch.enable_grad(), saved.watching():
                kept = training(path)
            del kept
    return _collect(model, counter, saved), dict(counter.unknown)


def _collect(model: nn.Module, counter: OperationCounter, saved: SavedBytes) -> dict[str, Cost]:
    return {
        name: Cost(
            sum(parameter.numel() for parameter in module.parameters(recurse=False)),
            counter.multiply_adds[name],
            counter.others[name],
            saved.bytes[name],
            counter.largest[name],
        )
        for name, module in model.named_modules()
    }


def layer_cost(build: Callable[[], nn.Module], *shape: int, device: str = "cpu") -> Cost:
    """The cost of one layer on a map of a given shape.

    Args:
        build: makes the layer.
        shape: (N, C, *S) of its input.
        device: one of `DEVICES`.

    Raises:
        ValueError: see `module_costs`.

    Example:
        >>> layer_cost(lambda: nn.Conv2d(1024, 512, 1), 1, 1024, 50, 84).multiply_adds
        2202009600
    """
    with torch.device("meta"):
        layer = build()

    def run(path: ModulePath) -> object:
        learning = torch.is_grad_enabled()
        return layer(torch.empty(shape, device=device, requires_grad=learning))

    return total(module_costs(layer, run, run, device)[0])
