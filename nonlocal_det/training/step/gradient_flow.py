"""Which module first passes back a gradient that is not finite."""

import weakref
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .tensors import tensors_in


@dataclass
class _Link:
    """A tensor between modules: who has made it and who takes it, by name and kind."""

    tensor: "weakref.ref[Tensor]"  # held itself, it would keep the whole forward pass in memory
    made_by: str = ""
    taken_by: dict[str, str] = field(default_factory=dict)


class GradientFlow:
    """Watches the gradients of what modules take and give, in the order of the backward pass.

    By hooks of tensors: those of modules refuse the changes in place that Detectron2's ResNet makes
    (``F.relu_``).
    """

    def __init__(self) -> None:
        self._links: dict[tuple[int, int], _Link] = {}
        self._first: _Link | None = None

    def taken(self, name: str, module: nn.Module, given: Any) -> None:
        """A module begins, with this."""
        for link in self._watch(given):
            link.taken_by[name] = type(module).__name__

    def made(self, name: str, module: nn.Module, made: Any) -> None:
        """A module has made this; of several, the innermost is the first to say so."""
        for link in self._watch(made):
            link.made_by = link.made_by or f"{name or 'the model'} ({type(module).__name__})"

    def _watch(self, value: Any) -> list[_Link]:
        found = []
        for _, tensor in tensors_in(value):
            if not tensor.requires_grad:
                continue
            key = (id(tensor), tensor._version)  # changed in place, it is another
            link = self._links.get(key)
            if link is None or link.tensor() is not tensor:  # the id of one that is gone
                link = self._links[key] = _Link(weakref.ref(tensor))
                tensor.register_hook(partial(self._look, link))
            found.append(link)
        return found

    def _look(self, link: _Link, gradient: Tensor) -> None:
        if self._first is None and not bool(torch.isfinite(gradient).all()):
            self._first = link

    def first(self) -> str | None:
        """Where the backward pass first went wrong, in words; None if it did not."""
        if self._first is None:
            return None
        takers = self._first.taken_by
        inner = [
            f"{name} ({kind})"
            for name, kind in takers.items()
            if not any(_is_inside(other, name) for other in takers)
        ]
        if inner:
            return f"first in the backward pass of {' or '.join(inner)}"
        return f"first in what follows {self._first.made_by}, in the backward pass"


def _is_inside(name: str, outer: str) -> bool:
    return name != outer and (not outer or name.startswith(f"{outer}."))
