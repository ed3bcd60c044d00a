"""How long a model takes for an image while it is evaluated."""

import time
from statistics import median
from typing import Any

import torch
from torch import nn


class InferenceTimer:
    """Watches a model's calls in evaluation mode.

    Args:
        model: the one that is evaluated; it takes a list with an entry for each image.
    """

    def __init__(self, model: nn.Module) -> None:
        self._seconds: list[float] = []
        self._start = 0.0
        model.register_forward_pre_hook(self._enter)
        model.register_forward_hook(self._leave)

    @property
    def s_per_image(self) -> float | None:
        """Median seconds an image, loading and COCO's metrics apart; None before any."""
        return median(self._seconds) if self._seconds else None

    def _enter(self, model: nn.Module, arguments: tuple[Any, ...]) -> None:
        self._start = time.perf_counter()

    def _leave(self, model: nn.Module, arguments: tuple[Any, ...], outputs: object) -> None:
        if model.training or not arguments[0]:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._seconds.append((time.perf_counter() - self._start) / len(arguments[0]))
