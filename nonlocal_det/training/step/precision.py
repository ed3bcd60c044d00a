"""How a model is called in training: in which precision, and with which factor on its losses."""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import AMPTrainer, SimpleTrainer
from torch import Tensor, nn

logger = logging.getLogger("nonlocal_det")
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Memory formats by the dimensions of a convolution's weight."""


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
            Its losses by name, ``total_loss`` if it returns one tensor.
        """
        region: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        if self.dtype is not None:
            region = torch.autocast(self.device.type, dtype=self.dtype)
        with region:
            losses = model(data)
        return {"total_loss": losses} if isinstance(losses, Tensor) else dict(losses)


def add_losses(losses: dict[str, Tensor]) -> Tensor:
    """Add the losses to what is minimised."""
    total = sum(losses.values())
    assert isinstance(total, Tensor)
    return total


def mixed_dtype(device: torch.device, model: nn.Module) -> torch.dtype | None:
    """Choose what ``SOLVER.AMP.ENABLED`` computes in for a model on a device.

    Returns:
        float16 on a GPU; on a CPU bfloat16, whose range needs no scaler, where the processor has
        instructions for it. Elsewhere torch emulates it, several times slower than full precision:
        None. None too for a model with 3D kernels that are longer than 1 in their first dimension:
        the weight gradient of these in bfloat16 on a CPU (torch 2.11 with oneDNN) reads memory that
        nothing has written.
    """
    if device.type != "cpu":
        return torch.float16
    if any(isinstance(m, nn.Conv3d) and m.kernel_size[0] > 1 for m in model.modules()):
        return None
    get_capabilities: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    has_bfloat16 = any(able for name, able in get_capabilities().items() if "bf16" in name)
    return torch.bfloat16 if has_bfloat16 else None


def autocast_dtype(cfg: CfgNode, model: nn.Module) -> torch.dtype | None:
    """Return what a config's training computes in beside full precision; None: nothing."""
    return mixed_dtype(torch.device(cfg.MODEL.DEVICE), model) if cfg.SOLVER.AMP.ENABLED else None


def build_inner_trainer(
    cfg: CfgNode, model: nn.Module, loader: Any, optimizer: torch.optim.Optimizer
) -> SimpleTrainer:
    """Build Detectron2's inner trainer; only float16 needs the scaler of `AMPTrainer`."""
    dtype = autocast_dtype(cfg, model)
    inner = (AMPTrainer if dtype == torch.float16 else SimpleTrainer)(model, loader, optimizer)
    inner.precision = dtype
    if dtype is not None:
        where = f"{cfg.MODEL.DEVICE} computes in {dtype} where autocast does"
        logger.info(f"SOLVER.AMP.ENABLED: {where}")
    elif cfg.SOLVER.AMP.ENABLED:
        logger.warning(
            "SOLVER.AMP.ENABLED: the training is in full precision, because this processor has no "
            "instructions for bfloat16, or torch's gradient of 3D kernels in it is wrong on a CPU"
        )
    return inner


def lay_out(model: nn.Module, dtype: torch.dtype | None) -> nn.Module:
    """Put a backbone's channels last where that is faster: in mixed precision on a CPU.

    Names, values and results stay, but for the order of sums. The heads are not changed:
    Detectron2's keypoint loss needs theirs in the usual order.

    Args:
        model: on its device, before anything holds its weights' memory (as DDP does).
        dtype: of autocast; None: full precision.

    Returns:
        The model itself.
    """
    backbone = getattr(model, "backbone", None)
    on_cpu = all(weight.device.type == "cpu" for weight in model.parameters())
    if isinstance(backbone, nn.Module) and dtype is not None and on_cpu:
        for weight in backbone.parameters():
            if weight.dim() in CHANNELS_LAST:
                weight.data = weight.data.contiguous(memory_format=CHANNELS_LAST[weight.dim()])
    return model


def precision_of(trainer: Any) -> Precision:
    """Read in which precision an inner trainer computes.

    Args:
        trainer: a `SimpleTrainer` or `AMPTrainer`. Its ``precision`` is autocast's dtype; of an
            `AMPTrainer` without one, as in Detectron2's 0.6 release, float16.
    """
    device = next(trainer.model.parameters()).device
    usual = None if getattr(trainer, "grad_scaler", None) is None else torch.float16
    return Precision(device, getattr(trainer, "precision", usual))
