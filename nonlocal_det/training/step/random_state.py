"""The states of all random generators, so that a batch can be computed again as it was."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomState:
    """What python, numpy and torch draw their next numbers from.

    Args:
        python: of `random.getstate`.
        numpy: of `numpy.random.get_state`.
        cpu: of torch's generator on the CPU.
        cuda: of the current GPU's; None where none was used.
    """

    python: tuple[Any, ...]
    numpy: tuple[Any, ...]
    cpu: Tensor
    cuda: Tensor | None = None

    @classmethod
    def capture(cls, device: torch.device) -> "RandomState":
        """The states now; the GPU's if the device is one."""
        return cls(
            random.getstate(),
            np.random.get_state(),  # type: ignore[arg-type]
            torch.get_rng_state(),
            torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        )

    def restore(self, device: torch.device) -> None:
        """Draw from here on what was drawn after `capture`."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.cpu)
        if self.cuda is not None and device.type == "cuda":
            torch.cuda.set_rng_state(self.cuda, device)

    def as_plain(self) -> dict[str, Any]:
        """The same in numbers, strings and tensors, as a checkpoint may hold them."""
        name, keys, *rest = self.numpy
        return {
            "python": self.python,
            "numpy": [str(name), [int(key) for key in keys], *rest],
            "cpu": self.cpu,
            "cuda": self.cuda,
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "RandomState":
        """What `as_plain` has made plain."""
        name, keys, *rest = plain["numpy"]
        return cls(
            plain["python"],
            (name, np.array(keys, dtype=np.uint32), *rest),
            plain["cpu"],
            plain["cuda"],
        )


@contextmanager
def as_it_was(state: RandomState | None, device: torch.device) -> Iterator[None]:
    """Draw what was drawn then; afterwards, go on as if nothing had been drawn."""
    now = RandomState.capture(device)
    if state is not None:
        state.restore(device)
    try:
        yield
    finally:
        now.restore(device)
