"""Which module's numbers go wrong first: a batch is computed again and watched.

Nothing here is paid while all is well.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from detectron2.utils.events import EventStorage
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from .gradient_flow import GradientFlow
from .parts import Part, image_name
from .precision import Precision, add_losses
from .random_state import as_it_was
from .tensors import count_bad, is_finite, tensors_in

MAX_NAMED = 3
"""So many names are said of a longer list."""


@dataclass(frozen=True)
class Finding:
    """What the second look at a part has shown.

    Args:
        where: the first thing that is not finite, in words.
        images: the names of those that go wrong alone; empty where none does, or where it is not
            their fault.
    """

    where: str
    images: list[str]


def diagnose(
    model: nn.Module, part: Part, precision: Precision, *, gradients: bool
) -> Finding | None:
    """Compute a part again, under the same random state, and find where its numbers go wrong.

    Args:
        model: in training mode, not wrapped; its gradients and their hooks are not touched.
        part: with ``data`` and ``random``.
        precision: as the step was computed.
        gradients: look at these too; else at the forward pass alone.

    Returns:
        None if everything is finite this time.
    """
    bad = [name for name, value in model.named_parameters() if not is_finite(value)]
    if bad:
        return Finding(f"the weights themselves are not finite: {some(bad)}", [])
    with EventStorage(), as_it_was(part.random, precision.device):  # what it logs is not wanted
        where = _find(model, part, precision, gradients)
        if where is None:
            return None
        return Finding(where, _guilty(model, part, precision, gradients))


def _guilty(model: nn.Module, part: Part, precision: Precision, gradients: bool) -> list[str]:
    """The images that go wrong alone, by name."""
    if not isinstance(part.data, list):
        return []
    found = []
    for entry in part.data:
        if part.random is not None:
            part.random.restore(precision.device)
        if _find(model, replace(part, data=[entry]), precision, gradients) is not None:
            found.append(image_name(entry))
    return found


def _find(model: nn.Module, part: Part, precision: Precision, gradients: bool) -> str | None:
    entries = part.data if isinstance(part.data, list) else [part.data]
    for entry in entries:
        for name, value in tensors_in(entry):
            if not is_finite(value):
                return f"the data itself is: {name} of {image_name(entry)} has {count_bad(value)}"
    flow = GradientFlow() if gradients else None
    with _watching(model, flow) as first:
        try:
            losses = precision.losses(model, part.data)
        except FloatingPointError as error:  # Detectron2's RPN
            return first[0] if first else f"the model says: {error}"
        if first or flow is None:
            return first[0] if first else None
        total = add_losses(losses) * part.share * precision.scale
        return _find_in_gradients(model, total, flow)


def _find_in_gradients(model: nn.Module, total: Tensor, flow: GradientFlow) -> str | None:
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    # not backward(): it would add to the gradients, and tell DistributedDataParallel's hooks
    found = torch.autograd.grad(total, [p for _, p in named], allow_unused=True)
    bad = [
        name
        for (name, _), gradient in zip(named, found, strict=True)
        if gradient is not None and not is_finite(gradient)
    ]
    where = flow.first()
    if where is None and not bad:
        return None
    return f"{where or 'gradients'}; in the gradients of {some(bad) or 'no parameter'}"


@contextmanager
def _watching(model: nn.Module, flow: GradientFlow | None) -> Iterator[list[str]]:
    """The first module whose output is not finite goes into the list."""
    first: list[str] = []
    handles: list[RemovableHandle] = []
    for name, module in model.named_modules():

        def look(module: nn.Module, given: Any, made: Any, name: str = name) -> None:
            if not first and not _only_selects(module) and not is_finite(made):
                first.append(_describe(name, module, given, made))
            if flow is not None:
                flow.made(name, module, made)

        def enter(module: nn.Module, given: Any, name: str = name) -> None:
            if flow is not None:
                flow.taken(name, module, given)

        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(look)]
    try:
        yield first
    finally:
        for handle in handles:
            handle.remove()


def _only_selects(module: nn.Module) -> bool:
    """Pooling makes no number, and the blocks' own is given -inf for padding on purpose."""
    return "MaxPool" in type(module).__name__


def _describe(name: str, module: nn.Module, given: Any, made: Any) -> str:
    kind = type(module).__name__
    if not is_finite(given):
        parent = name.rpartition(".")[0] or "the model"
        return (
            f"first in {parent}, between its modules: {name} ({kind}) is given {count_bad(given)}"
        )
    return f"first in {name or 'the model'} ({kind}): its output has {count_bad(made)}"


def some(names: list[str]) -> str:
    """A list in words, cut off where it is long."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
