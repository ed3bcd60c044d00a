"""Detectron2's inner trainer, in the precision and the processes of a training."""

import logging
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import AMPTrainer, SimpleTrainer
from detectron2.utils import comm
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from .step import mixed_dtype

logger = logging.getLogger("nonlocal_det")


def distribute(model: nn.Module) -> nn.Module:
    """Wrap a model so that gradients are averaged over the processes, where there are several."""
    if comm.get_world_size() == 1:
        return model
    on_gpu = next(model.parameters()).device.type == "cuda"
    devices = [comm.get_local_rank()] if on_gpu else None
    return DistributedDataParallel(model, device_ids=devices, broadcast_buffers=False)


def build_inner_trainer(
    cfg: CfgNode, model: nn.Module, loader: Any, optimizer: torch.optim.Optimizer
) -> SimpleTrainer:
    """Build Detectron2's inner trainer; only float16 needs the scaler of `AMPTrainer`."""
    dtype = autocast_dtype(cfg, model)
    kind = AMPTrainer if dtype == torch.float16 else SimpleTrainer
    inner = kind(model, loader, optimizer)
    inner.precision = dtype
    if dtype is not None:
        device = cfg.MODEL.DEVICE
        logger.info(f"SOLVER.AMP.ENABLED: {device} computes in {dtype} where autocast does")
    elif cfg.SOLVER.AMP.ENABLED:
        logger.warning(
            "SOLVER.AMP.ENABLED: the training is in full precision, because this processor has no "
            "instructions for bfloat16, or torch's gradient of 3D kernels in it is wrong on a CPU"
        )
    return inner


def autocast_dtype(cfg: CfgNode, model: nn.Module) -> torch.dtype | None:
    """Find what a config's training computes in beside full precision; None: nothing."""
    return mixed_dtype(torch.device(cfg.MODEL.DEVICE), model) if cfg.SOLVER.AMP.ENABLED else None
