"""What is widened to float32, and how autocast is kept from narrowing it again."""

import contextlib

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Return ``x`` in float32 if it is in half precision, else ``x`` itself (float64 stays)."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def autocast_off(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return a region in which autocast does not narrow float32 products."""
    if device.type == "meta":  # torch has no autocast there, so there is nothing to switch off
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)
