"""The tensors inside what modules take and give, and which of their numbers are not finite."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from detectron2.structures import Instances
from torch import Tensor


def tensors_in(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every floating-point tensor of a nested value, with the way to it.

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
        for key, one in value.items():
            yield from tensors_in(one, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for n, one in enumerate(value):
            yield from tensors_in(one, f"{name}[{n}]")
    elif isinstance(getattr(value, "tensor", None), Tensor):  # Boxes, Keypoints, ImageList, ...
        yield from tensors_in(value.tensor, name)


def is_finite(value: Any) -> bool:
    """Whether every number of a nested value is."""
    return all(bool(torch.isfinite(tensor).all()) for _, tensor in tensors_in(value))


def count_bad(value: Any) -> str:
    """In words: how many numbers of a nested value are nan, and how many infinite."""
    nan = inf = total = 0
    for _, tensor in tensors_in(value):
        total += tensor.numel()
        nan += int(torch.isnan(tensor).sum())
        inf += int(torch.isinf(tensor).sum())
    bad = [f"{count} {what}" for count, what in ((nan, "nan"), (inf, "infinite")) if count]
    return f"{' and '.join(bad) or 'none'} of {total} numbers"
