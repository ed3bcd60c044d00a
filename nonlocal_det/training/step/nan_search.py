"""Which module's numbers cease to be finite first: a batch is computed again under hooks.

torch's ``detect_anomaly`` names a function, not a module, and does not notice infinite gradients.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from detectron2.structures import Instances
from detectron2.utils.events import EventStorage
from torch import Tensor, nn

from .micro_batch import MicroBatch, image_name, rng_restored, shorten
from .precision import Precision, add_losses


class Diagnosis(NamedTuple):
    """The first thing that is not finite, in words; the images with which alone it happens."""

    where: str
    images: list[str]


def diagnose(
    model: nn.Module, batch: MicroBatch, precision: Precision, *, gradients: bool
) -> Diagnosis | None:
    """Compute a batch again, with the same random numbers, and find what is not finite first.

    Args:
        model: in training mode, not wrapped; its gradients are not changed.
        batch: with ``data`` and ``rng_state``.
        precision: as the step was computed.
        gradients: search the backward pass too.

    Returns:
        None if everything is finite this time.
    """
    bad = [name for name, value in model.named_parameters() if not is_finite(value)]
    if bad:
        return Diagnosis(f"the weights themselves are not finite: {shorten(bad)}", [])
    where = _find(model, batch, precision, gradients)
    if not where:
        return None
    entries = batch.data if isinstance(batch.data, list) else []
    alone = [
        image_name(entry)
        for entry in entries
        if _find(model, replace(batch, data=[entry]), precision, gradients)
    ]
    return Diagnosis(where, alone)


def _find(model: nn.Module, batch: MicroBatch, precision: Precision, gradients: bool) -> str:
    """Compute once; return what is not finite first, or ""."""
    for entry in batch.data if isinstance(batch.data, list) else [batch.data]:
        for name, value in tensors_in(entry):
            if not is_finite(value):
                return f"the data itself is: {name} of {image_name(entry)} has {_count_bad(value)}"
    search = _Search(gradients)
    with EventStorage(), rng_restored(batch.rng_state, precision.device), ExitStack() as hooks:
        hooks.callback(search.forget)
        for name, module in model.named_modules():
            label = f"{name or 'the model'} ({type(module).__name__})"
            enter, leave = partial(search.enter, label), partial(search.leave, label)
            hooks.enter_context(module.register_forward_pre_hook(enter, with_kwargs=True))
            hooks.enter_context(module.register_forward_hook(leave, with_kwargs=True))
        try:
            losses = precision.losses(model, batch.data)
        except FloatingPointError as error:  # Detectron2's RPN
            return search.first or f"the model says: {error}"
        if search.first or not gradients:
            return search.first
        total = add_losses(losses) * batch.share * precision.scale
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        # not backward(): it would add to the gradients, and run DistributedDataParallel's hooks
        made = torch.autograd.grad(total, [p for _, p in named], allow_unused=True)
    bad = [name for (name, _), grad in zip(named, made, strict=True) if not is_finite(grad)]
    if not search.first and not bad:
        return ""
    return f"{search.first or 'gradients'}; in the gradients of {shorten(bad) or 'no parameter'}"


class _Search:
    """Hooks that record where a forward, then a backward pass first has a number not finite.

    Each node of the autograd graph belongs to the innermost module in whose forward pass it was
    made. Hooks of nodes see a map's gradient even where Detectron2's ResNet changes the map in
    place (``F.relu_``), which full backward hooks of modules refuse.

    Args:
        gradients: whether the backward pass is searched.
    """

    def __init__(self, gradients: bool) -> None:
        self.first = ""
        self._gradients = gradients
        self._running: list[str] = []
        self._owners: dict[Any, str] = {}  # by the graph's nodes

    def enter(self, label: str, _: nn.Module, args: Any, kwargs: Any) -> None:
        """Note that a module begins; what led to its input belongs to the module around it."""
        self._own(self._running[-1] if self._running else "the data", (args, kwargs))
        self._running.append(label)

    def leave(self, label: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """Look at a module's output."""
        self._running.pop()
        self._own(label, output)
        # pooling makes no number, and that of the blocks is given -inf for padding on purpose
        if self.first or "MaxPool" in type(module).__name__ or is_finite(output):
            return
        if is_finite((args, kwargs)):
            self.first = f"first in {label}: its output has {_count_bad(output)}"
            return
        outer = self._running[-1] if self._running else "the data"
        self.first = (
            f"first in {outer}, between its modules: {label} is given {_count_bad((args, kwargs))}"
        )

    def forget(self) -> None:
        """Let go of the graph, whose nodes hold this object in turn."""
        self._owners.clear()

    def _own(self, label: str, value: Any) -> None:
        """Let the nodes that led to a value, and have no owner yet, belong to a module."""
        if not self._gradients:
            return
        nodes = [tensor.grad_fn for _, tensor in tensors_in(value)]
        while nodes:
            node = nodes.pop()
            # a parameter's node outlives the graph, and so would its hook
            if node is None or node in self._owners or hasattr(node, "variable"):
                continue
            self._owners[node] = label
            node.register_hook(partial(self._look, label, node.name()))
            nodes += [before for before, _ in node.next_functions]

    def _look(self, label: str, function: str, made: Any, _: Any) -> None:
        """Look at the gradients that a node has made."""
        if not self.first and not is_finite(made):
            self.first = f"first in the backward pass of {label}, in {function}"


def tensors_in(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield every floating-point tensor of a nested value, with the way to it.

    Args:
        value: tensors in lists, tuples, dicts and Detectron2's structures; the rest is passed over.
        name: of the value itself.
    """
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield name, value
    elif isinstance(value, Instances):
        yield from tensors_in(value.get_fields(), name)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from tensors_in(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for n, item in enumerate(value):
            yield from tensors_in(item, f"{name}[{n}]")
    elif isinstance(getattr(value, "tensor", None), Tensor):  # Boxes, Keypoints, ImageList, ...
        yield from tensors_in(value.tensor, name)


def is_finite(value: Any) -> bool:
    """Tell whether every number of a nested value is finite."""
    return all(bool(torch.isfinite(tensor).all()) for _, tensor in tensors_in(value))


def _count_bad(value: Any) -> str:
    tensors = [tensor for _, tensor in tensors_in(value)]
    counts = {
        "nan": sum(int(torch.isnan(tensor).sum()) for tensor in tensors),
        "infinite": sum(int(torch.isinf(tensor).sum()) for tensor in tensors),
    }
    bad = " and ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f"{bad or 'none'} of {sum(tensor.numel() for tensor in tensors)} numbers"
