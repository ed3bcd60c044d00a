"""A batch in parts: what is computed at a time, and all that is needed to compute it again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .random_state import RandomState


@dataclass
class Part:
    """A part of one process's batch in one step.

    Args:
        data: what the model is called with.
        share: of the batch's images, so that the parts' weighted losses add up to the batch's mean.
        random: the generators' states right before the model was called.
        losses: by name, as numbers; empty where the model has given none.
        error: what the model said where it refused its own numbers.
    """

    data: Any
    share: float = 1.0
    random: RandomState | None = None
    losses: dict[str, float] = field(default_factory=dict)
    error: str = ""


def split_batch(data: Any, count: int) -> list[Part]:
    """Divide a batch into parts of near equal size, in order.

    Args:
        data: what the loader gives: a list with an entry for each image; anything if ``count`` is
            1.
        count: of parts.

    Raises:
        ValueError: there are fewer images than parts.
    """
    if count == 1:
        return [Part(data)]
    images = len(data) if isinstance(data, Sequence) else 1
    if images < count:
        raise ValueError(
            f"--accumulate {count}: a process's batch has {images} images, which do not make "
            f"{count} parts; set --accumulate {images}, or raise SOLVER.IMS_PER_BATCH"
        )
    ends = [images * n // count for n in range(count + 1)]
    return [
        Part(data[start:end], (end - start) / images)
        for start, end in zip(ends, ends[1:], strict=False)
    ]


def image_name(entry: Any) -> str:
    """How an image of a batch is called: its file, else its id."""
    if isinstance(entry, dict):
        return str(entry.get("file_name") or entry.get("image_id") or "an image without a name")
    return "an image without a name"


def images_of(data: Any) -> list[str]:
    """The names of a batch's images."""
    return [image_name(entry) for entry in data] if isinstance(data, Sequence) else []
