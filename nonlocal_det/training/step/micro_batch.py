"""What a model is given at a time, and what computing it again takes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

MAX_NAMES = 3
"""How many names of a longer list a message has."""


@dataclass
class MicroBatch:
    """A part of one process's batch in one step.

    Args:
        data: what the model is called with.
        share: of the batch's images, so that the weighted losses add up to the batch's mean.
        rng_state: torch's generators right before the model was called; see `get_rng_state`.
        losses: by name, as numbers; empty where the model has given none.
        error: the model's message where it refused its own numbers.
    """

    data: Any
    share: float = 1.0
    rng_state: list[Tensor] = field(default_factory=list)
    losses: dict[str, float] = field(default_factory=dict)
    error: str = ""

    @property
    def images(self) -> list[str]:
        """The names of its images."""
        return [image_name(entry) for entry in self.data] if isinstance(self.data, Sequence) else []


def split_batch(data: Any, count: int) -> list[MicroBatch]:
    """Divide a batch into parts of near equal size, in order.

    Args:
        data: what the loader gives: a list with an entry for each image; anything if ``count`` is
            1.
        count: of parts.

    Raises:
        ValueError: there are fewer images than parts.
    """
    if count == 1:
        return [MicroBatch(data)]
    images = len(data) if isinstance(data, Sequence) else 1
    if images < count:
        raise ValueError(
            f"--accumulate {count}: a process's batch has {images} images; set --accumulate "
            f"{images}, or raise SOLVER.IMS_PER_BATCH"
        )
    ends = [images * n // count for n in range(count + 1)]
    return [
        MicroBatch(data[start:end], (end - start) / images)
        for start, end in zip(ends, ends[1:], strict=False)
    ]


def get_rng_state(device: torch.device) -> list[Tensor]:
    """Return the state of torch's generator on the CPU, and on the GPU if the device is one.

    Python's and numpy's generators do not count: no model of Detectron2 draws from them.
    """
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return states


@contextmanager
def rng_restored(states: list[Tensor], device: torch.device) -> Iterator[None]:
    """Draw again what was drawn after `get_rng_state`; the draws after the context are not changed.

    Args:
        states: of `get_rng_state`; none: nothing is restored.
        device: where the model is; it may be another than that of the states.
    """
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        if states:
            torch.set_rng_state(states[0])
        for gpu, state in zip(gpus, states[1:], strict=False):
            torch.cuda.set_rng_state(state, gpu)
        yield


def image_name(entry: Any) -> str:
    """Return the file of a batch's image, else its id."""
    if isinstance(entry, dict):
        return str(entry.get("file_name") or entry.get("image_id") or "an image without a name")
    return "an image without a name"


def shorten(names: Sequence[str]) -> str:
    """Join names, the first few of a long list."""
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
