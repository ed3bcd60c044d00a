"""How a model is called in training: in which precision, and with which factor on its losses."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Precision:
    """Full precision, or torch's automatic mixed one.

    Args:
        device: where the model is.
        dtype: of autocast; None: full precision.
        scale: the factor on the losses that keeps small gradients in float16's range.
    """

    device: torch.device
    dtype: torch.dtype | None = None
    scale: float = 1.0

    def losses(self, model: nn.Module, data: Any) -> dict[str, Tensor]:
        """Call a model in training mode.

        Returns:
            Its losses by name, ``total_loss`` if it gives but a number.
        """
        region: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        if self.dtype is not None:
            region = torch.autocast(self.device.type, dtype=self.dtype)
        with region:
            losses = model(data)
        return {"total_loss": losses} if isinstance(losses, Tensor) else dict(losses)


def add_losses(losses: dict[str, Tensor]) -> Tensor:
    """Their sum, which is what is made small."""
    total = sum(losses.values())
    assert isinstance(total, Tensor)
    return total


def mixed_dtype(device: torch.device) -> torch.dtype | None:
    """What ``SOLVER.AMP.ENABLED`` means on a device.

    Returns:
        float16 on a GPU; on a CPU bfloat16, whose range needs no scaler, where the processor has
        instructions for it. Elsewhere torch imitates it, several times slower than full precision:
        None.
    """
    if device.type != "cpu":
        return torch.float16
    ask: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = ask()  # empty where torch is too old to say
    found = any(there for name, there in capabilities.items() if "bf16" in name)
    return torch.bfloat16 if found else None


def precision_of(trainer: Any) -> Precision:
    """How an inner trainer means its model to be called.

    Args:
        trainer: a `SimpleTrainer` or `AMPTrainer`. Its ``precision`` is autocast's dtype; of an
            `AMPTrainer` without one, as in Detectron2's 0.6 release, float16.
    """
    device = next(trainer.model.parameters()).device
    usual = None if getattr(trainer, "grad_scaler", None) is None else torch.float16
    return Precision(device, getattr(trainer, "precision", usual))
