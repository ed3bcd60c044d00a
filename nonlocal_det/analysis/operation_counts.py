"""Counts what the operators of a running model compute and keep, by the module that runs them.

Products are counted by the formulas of `torch.utils.flop_counter`; those it lacks stand here. Its
FlopCounterMode is not used: it counts products only, so a kernel that trades them for sorts and
sums would look free, and it loses the name of a module that is called apart from its parent.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

Formula = Callable[..., int]
"""From an operator's output and its arguments to a number of operations.

The operators are keyed by name, because not every torch has all of them.
"""


def multiply_adds(func: Any, out: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """The multiply-adds of a product or convolution, half of its FLOPs; None for other operators.

    ``func`` is the operator, as ``torch.ops.aten.mm.default``; ``out`` is what it returned.
    """
    packet, name = func.overloadpacket, str(func.overloadpacket)
    if name in _PRODUCTS:
        return _PRODUCTS[name](out, *args, **kwargs)
    if packet in flop_registry:
        return int(flop_registry[packet](*args, **kwargs, out_val=out)) // 2
    return None


def other_operations(
    func: Any, out: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> int | None:
    """The operations of an operator that is no product; None where no formula is known.

    One operation is one addition, comparison, exponential and so on of one number; moving,
    copying and converting numbers costs none. Arguments: see `multiply_adds`.
    """
    name = str(func.overloadpacket)
    if name in _OTHERS:
        return _OTHERS[name](out, *args, **kwargs)
    if name in _MOVES or func.is_view or func.namespace == "prim":
        return 0
    if torch.Tag.pointwise in func.tags and isinstance(out, Tensor):
        return out.numel()
    return None


def _attention(out: Any, q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> int:
    return int(sdpa_flop_count(q.shape, k.shape, v.shape)) // 2


def _softmax_of_attention(out: Any, q: Tensor, k: Tensor, *args: Any, **kwargs: Any) -> int:
    return 5 * q.shape[:-1].numel() * k.shape[-2]  # as _softmax, of the P x Q affinities


def _each_input(times: int = 1) -> Formula:
    return lambda out, x, *args, **kwargs: times * x.numel()


def _pool(out: Any, x: Tensor, kernel: list[int], *args: Any, **kwargs: Any) -> int:
    sides = kernel * (x.dim() - 2 if len(kernel) == 1 else 1)
    return int(out[0].numel()) * math.prod(sides)


def _average(out: Tensor, x: Tensor, kernel: list[int], *args: Any, **kwargs: Any) -> int:
    return out.numel() * math.prod(kernel)


def _sort(out: Any, x: Tensor, dim: int = -1, *args: Any, **kwargs: Any) -> int:
    return x.numel() * math.ceil(math.log2(max(1, x.shape[dim])))


def _search(out: Tensor, ordered: Tensor, *args: Any, **kwargs: Any) -> int:
    return out.numel() * math.ceil(math.log2(ordered.shape[-1] + 1))


_CPU_ATTENTION = "aten._scaled_dot_product_flash_attention_for_cpu"
_PRODUCTS: dict[str, Formula] = {
    "aten.baddbmm_": lambda out, sums, a, b, **scales: math.prod(a.shape) * b.shape[2],
    "aten.mv": lambda out, matrix, vector: matrix.numel(),
    "aten.addmv": lambda out, bias, matrix, vector, **scales: matrix.numel(),
    "aten.dot": lambda out, a, b: a.numel(),
    _CPU_ATTENTION: _attention,  # torch has formulas of the CUDA kernels only
}
_OTHERS: dict[str, Formula] = {
    "aten.native_batch_norm": _each_input(2),  # in an inference: a scale and a shift
    "aten.cudnn_batch_norm": _each_input(2),
    "aten.native_group_norm": _each_input(5),  # mean, centre, square and sum, scale, shift
    "aten._softmax": _each_input(5),  # maximum, difference, exponential, sum, quotient
    "aten._safe_softmax": _each_input(5),
    "aten.logsumexp": _each_input(4),
    "aten.max_pool2d_with_indices": _pool,
    "aten.max_pool3d_with_indices": _pool,
    "aten.avg_pool3d": _average,
    "aten.threshold_": _each_input(),
    "aten.sort": _sort,
    "aten.searchsorted": _search,
    "aten.upsample_bilinear2d": lambda out, *args, **kwargs: 4 * out.numel(),
    **{f"aten.{name}": _each_input() for name in ("sum", "mean", "cumsum", "amax", "any")},
    _CPU_ATTENTION: _softmax_of_attention,
    "aten._scaled_dot_product_flash_attention": _softmax_of_attention,
    "aten._scaled_dot_product_efficient_attention": _softmax_of_attention,
}
_MOVES = {
    f"aten.{name}"
    for name in (
        *("cat", "clone", "copy_", "_to_copy", "flip", "gather", "index"),
        *("empty", "empty_like", "new_empty", "new_zeros", "zeros", "zeros_like"),
        *("ones", "full", "arange", "fill_", "zero_", "constant_pad_nd", "upsample_nearest2d"),
        *("_unsafe_view", "detach", "lift_fresh"),
    )
}


class ModulePath:
    """Follows which module of a model is running, by the names of ``named_modules``."""

    def __init__(self) -> None:
        self._names = [""]

    @property
    def name(self) -> str:
        """The innermost running module; empty for the model itself."""
        return self._names[-1]

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Mark a call of a method of a module that is not its ``forward``."""
        self._names.append(name)
        yield
        self._names.pop()

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Follow the modules of a model by hooks, and remove them in the end."""
        with ExitStack() as hooks:
            for name, module in model.named_modules():
                for handle in (
                    module.register_forward_pre_hook(
                        lambda *_, name=name: self._names.append(name)
                    ),
                    module.register_forward_hook(lambda *_: self._leave()),
                ):
                    hooks.callback(handle.remove)
            yield

    def _leave(self) -> None:
        self._names.pop()


class OperationCounter(TorchDispatchMode):
    """Counts the operators that run while it is entered, by the name of the running module.

    Attributes:
        multiply_adds: see the function.
        others: see `other_operations`.
        largest: bytes of the largest tensor that one operator made.
        unknown: operators that no formula knows, with how often they ran.
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
        """Run one operator and add its cost."""
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
    buffers of the model do not count, because they are in memory anyway.

    Attributes:
        bytes: by module name.
    """

    def __init__(self, model: nn.Module, path: ModulePath) -> None:
        self.path = path
        self.bytes: Counter[str] = Counter()
        # The tensors themselves are held: the address of a freed storage may be used again.
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
