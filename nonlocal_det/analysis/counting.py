"""Watches a model run: who computes how much, who keeps what for the backward pass.

It sees the operators that really run, so also those inside kernels of our own.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .formulas import multiply_adds, other_operations


class ModulePath:
    """Knows the name of the innermost module that is running, while it is watching."""

    def __init__(self) -> None:
        self._names = [""]

    @property
    def name(self) -> str:
        """As ``named_modules`` has it; empty for the model itself and outside of it."""
        return self._names[-1]

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Where a method of a module is called that is not its ``forward``."""
        self._names.append(name)
        yield
        self._names.pop()

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Follow the modules of a model by hooks, and remove them in the end."""
        handles = []
        for name, module in model.named_modules():
            enter, leave = partial(self._enter, name), self._leave
            handles.append(module.register_forward_pre_hook(enter))
            handles.append(module.register_forward_hook(leave))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, name: str, *_: object) -> None:
        self._names.append(name)

    def _leave(self, *_: object) -> None:
        self._names.pop()


class OperationCounter(TorchDispatchMode):
    """Counts the operators that run while it is entered, by the module that runs them.

    Args:
        path: says which module that is.

    Attributes:
        multiply_adds: of products and convolutions, by module name.
        others: operations that are no products, by module name; see `other_operations`.
        largest: bytes of the largest tensor that one operator made, by module name.
        unknown: operators that none of the formulas knows, with how often they ran.
    """

    def __init__(self, path: ModulePath) -> None:
        super().__init__()
        self.path = path
        self.multiply_adds: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self.largest: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operator and write down its cost."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = self.path.name
        products = multiply_adds(func, out, args, kwargs)
        others = other_operations(func, out, args, kwargs)
        if products is None and others is None:
            self.unknown[str(func)] += 1
        self.multiply_adds[name] += products or 0
        self.others[name] += others or 0
        if not func.is_view:
            sizes = [t.numel() * t.element_size() for t in tree_leaves(out) if torch.is_tensor(t)]
            self.largest[name] = max([self.largest[name], *sizes])
        return out


class SavedBytes:
    """Counts what autograd keeps for the backward pass, by the module that first keeps it.

    A storage counts once and whole, however many operators keep it or a view of it; parameters and
    buffers of the model do not count, they are there anyway.

    Args:
        model: whose parameters and buffers do not count.
        path: says which module is running.

    Attributes:
        bytes: by module name.
    """

    def __init__(self, model: nn.Module, path: ModulePath) -> None:
        self.path = path
        self.bytes: Counter[str] = Counter()
        # The tensors themselves are held: the address of a storage that is gone may come again.
        self._seen = {_address(t): t for t in (*model.parameters(), *model.buffers())}

    def watching(self) -> saved_tensors_hooks:
        """Count while this context is entered."""
        return saved_tensors_hooks(self._keep, lambda tensor: tensor)

    def _keep(self, tensor: Tensor) -> Tensor:
        if _address(tensor) not in self._seen:
            self._seen[_address(tensor)] = tensor
            self.bytes[self.path.name] += tensor.untyped_storage().nbytes()
        return tensor


def _address(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
