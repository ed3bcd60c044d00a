"""Small checks and casts that every layer shares, so that errors and precision rules read alike."""

import contextlib
from collections.abc import Iterable

import torch
from torch import Tensor


def one_of(name: str, value: str, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        ValueError: it is not; the message lists what would be.
    """
    choices = tuple(choices)
    if value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name}={value!r}; expected one of {expected}")
    return value


def at_least_float32(x: Tensor) -> Tensor:
    """Return ``x`` in float32 if it is in half precision, else ``x`` itself (float64 stays)."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def autocast_off(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """A region in which autocast does not narrow float32 products again."""
    if device.type == "meta":  # torch has no autocast there, so there is nothing to switch off
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)
