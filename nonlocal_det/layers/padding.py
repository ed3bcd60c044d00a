"""Where the images of a padded batch end, so that a block does not attend to the padding.

A detector pads the images of a batch to one size. A block that attends to that padding makes the
result of an image depend on what it was batched with.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Padding:
    """The true sizes of the images of a batch, and the size they were padded to.

    Args:
        sizes: (height, width) of each image in pixels; the padding is at the bottom and right. An
            empty one keeps its padding as keys, as a softmax over no key would be nan.
        padded: (height, width) of the batch in pixels.
    """

    sizes: Sequence[Sequence[int]]
    padded: Sequence[int]
    _masks: dict[tuple[torch.Size, torch.device], Tensor | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _numbers: Tensor | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Keep sizes and padded size as a tensor (N + 1, D) too, for `torch.compile`."""
        numbers = torch.tensor([*self.sizes, self.padded], dtype=torch.int64, device="cpu")
        object.__setattr__(self, "_numbers", numbers)

    def mask(self, x: Tensor) -> Tensor | None:
        """Return which positions of a map x (N, C, *S) of this batch see any real pixel.

        All blocks of a stage share one mask; it is made from integers of the host. In a compiled
        graph it is made from a tensor, whose numbers may change without a new compilation.

        Returns:
            Bool (N, 1, *S), or None where every position does: then there is nothing to pay. In a
            compiled graph never None.

        Raises:
            ValueError: x has another number of images or dimensions.
        """
        if torch.compiler.is_compiling():
            return self._compiled(x)
        shape = x.shape[2:]
        if len(self.sizes) != x.shape[0] or len(self.padded) != len(shape):
            raise ValueError(
                f"the padding is that of {len(self.sizes)} images of {len(self.padded)} "
                f"dimensions, but the map has shape {tuple(x.shape)}"
            )
        key = (shape, x.device)
        if key not in self._masks:
            self._masks[key] = self._make(shape, x.device)
        return self._masks[key]

    def _compiled(self, x: Tensor) -> Tensor:
        assert self._numbers is not None
        numbers = self._numbers.to(x.device)
        mask = torch.ones((), dtype=torch.bool, device=x.device)
        for axis, cells in enumerate(x.shape[2:]):
            # as in `_make`: the cells before ceil(size * cells / padded) hold a real pixel
            size, padded = numbers[:-1, axis], numbers[-1, axis]
            position = torch.arange(cells, device=x.device)
            size = torch.where((numbers[:-1] == 0).any(1), padded, size)
            real = position < -(-size * cells // padded).unsqueeze(1)  # (N, cells)
            mask = mask.unsqueeze(-1) & real.view(-1, *[1] * axis, cells)  # (N, ..., cells)
        return mask.unsqueeze(1)  # (N, *S) -> (N, 1, *S)

    def _make(self, shape: torch.Size, device: torch.device) -> Tensor | None:
        # cells of side padded / shape: ceil(size / side) of them hold a real pixel
        ends = [
            [
                -(-size * cells // whole)
                for size, cells, whole in zip(image, shape, self.padded, strict=True)
            ]
            for image in (size if all(size) else self.padded for size in self.sizes)
        ]
        if all(end >= cells for image in ends for end, cells in zip(image, shape, strict=True)):
            return None
        mask = torch.zeros((len(ends), 1, *shape), dtype=torch.bool, device="cpu")
        for image, sides in zip(mask, ends, strict=True):
            image[(0, *(slice(end) for end in sides))] = True
        return mask.to(device, non_blocking=True)


@contextmanager
def known_padding(
    model: nn.Module, sizes: Sequence[Sequence[int]], padded: Sequence[int]
) -> Iterator[None]:
    """Tell every non-local block of a model where the images of the batch end.

    For a meta-architecture of your own, around the call of its backbone::

        with known_padding(self.backbone, images.image_sizes, images.tensor.shape[-2:]):
            features = self.backbone(images.tensor)

    Args:
        model: the modules that see the whole batch; not the heads, whose regions have no padding.
        sizes: (height, width) of each image in pixels.
        padded: (height, width) of the batch in pixels.
    """
    with forgotten_padding(model):
        set_padding(model, Padding([tuple(map(int, size)) for size in sizes], tuple(padded)))
        yield


@contextmanager
def forgotten_padding(model: nn.Module) -> Iterator[None]:
    """Forget, however the body ends, the padding that `set_padding` has set within it."""
    try:
        yield
    finally:
        set_padding(model, None)


def set_padding(model: nn.Module, padding: Padding | None) -> None:
    """Set or forget the padding of every module that has the attribute ``padding_of_batch``."""
    for module in _knowing(model):
        module["padding_of_batch"] = padding
        if padding is not None and torch.is_grad_enabled():
            earlier = () if module.pop("_recomputed", False) else module.get("_of_backward", ())
            # two are enough to know that there is more than one
            module["_of_backward"] = (*(one for one in earlier if one != padding), padding)[-2:]


@contextmanager
def padding_again(model: nn.Module, padding: Padding | None) -> Iterator[None]:
    """Set, within the body, the padding that a forward pass had, to compute it again."""
    before = [(module, module["padding_of_batch"]) for module in _knowing(model)]
    try:
        for module, _ in before:
            module["padding_of_batch"] = padding
        yield
    finally:
        for module, earlier in before:
            module["padding_of_batch"] = earlier


def first_padding(model: nn.Module) -> Padding | None:
    """Return the padding that the first module of a model knows of the batch."""
    return next((module["padding_of_batch"] for module in _knowing(model)), None)


def padding_of(module: nn.Module) -> Padding | None:
    """Return the padding of the map that a module is called with, None where none is known.

    Gradient checkpointing by the caller's own hand (``torch.utils.checkpoint`` around a stage)
    computes a forward pass again in the backward pass, when the batch's padding is forgotten: it
    is then that of the last batch.

    Raises:
        RuntimeError: two batches came before the backward pass; which one this is cannot be told.
    """
    state = vars(module)
    padding: Padding | None = state["padding_of_batch"]
    if padding is not None or torch.compiler.is_compiling() or _graph_task() == -1:
        return padding
    earlier = state.get("_of_backward", ())
    if len(earlier) > 1:
        raise RuntimeError(
            "a block is computed again in a backward pass that follows two forward passes with "
            "different padding; run one backward pass after each, or checkpoint the gradients by "
            "MODEL.NONLOCAL.GRADIENT_CHECKPOINTING, which remembers the padding"
        )
    state["_recomputed"] = True
    return earlier[0] if earlier else None


def _knowing(model: nn.Module) -> Iterator[dict[str, Any]]:
    return (vars(m) for m in model.modules() if "padding_of_batch" in vars(m))


_graph_task = torch._C._current_graph_task_id  # -1 outside a backward pass
