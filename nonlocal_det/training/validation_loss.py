"""The losses on the images of an evaluation, which leave the training as it was."""

import math
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from nonlocal_det.data import VALIDATION, name_of, seeded

from .step.precision import Precision


def validation_losses(
    model: nn.Module, loader: Iterable[list[Any]], precision: Precision
) -> dict[str, float]:
    """Compute a model's losses, the mean over the images of all processes.

    There are no gradients; norms use their running statistics and leave them as they are, dropout
    is off. What the model samples depends on the image only, so two evaluations are comparable, and
    the training's random numbers stay as they were.

    Args:
        model: not wrapped; in the modes it was in afterwards.
        loader: of `build_validation_loader`.
        precision: of the training.

    Returns:
        The losses by name and ``total_loss``; nan where the model refuses its own numbers. Empty
        in all processes but the first.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    for module, _ in modes:
        if isinstance(module, _NormBase | _DropoutNd):
            module.eval()
    gpus = [precision.device] if precision.device.type == "cuda" else []
    sums: dict[str, float] = {}
    images = 0
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=gpus), EventStorage(1):
            for batch in loader:
                batch = [sample for sample in batch if sample is not None]
                if not batch:
                    continue
                key = zlib.crc32(" ".join(Path(name_of(sample)).name for sample in batch).encode())
                with seeded(VALIDATION, key):
                    for gpu in gpus:
                        torch.cuda.default_generators[gpu.index or 0].manual_seed(key)
                    losses = _losses(model, batch, precision)
                images += len(batch)
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + value * len(batch)
    finally:
        for module, training in modes:
            module.training = training
    shares = comm.all_gather((sums, images))
    total = sum(count for _, count in shares)
    if not comm.is_main_process() or not total:
        return {}
    names = dict.fromkeys(name for share, _ in shares for name in share)
    return {name: sum(share.get(name, 0.0) for share, _ in shares) / total for name in names}


def _losses(model: nn.Module, batch: list[Any], precision: Precision) -> dict[str, float]:
    try:
        losses = {name: float(x) for name, x in precision.losses(model, batch).items()}
    except FloatingPointError:  # Detectron2's RPN, in training mode only
        return {"total_loss": math.nan}
    return {"total_loss": sum(losses.values()), **losses}
