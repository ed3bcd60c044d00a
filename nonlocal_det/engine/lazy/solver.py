"""The optimizer and schedule of a YAML config's SOLVER node, as calls for a LazyConfig."""

from collections.abc import Sequence
from typing import Any

import torch
from detectron2.config import LazyCall, get_cfg
from detectron2.solver import WarmupParamScheduler
from detectron2.solver.build import maybe_add_gradient_clipping
from fvcore.common.param_scheduler import MultiStepParamScheduler
from omegaconf import DictConfig


def clipped_sgd(
    *,
    params: list[dict[str, Any]],
    lr: float,
    momentum: float,
    weight_decay: float,
    clip_norm: float,
) -> torch.optim.Optimizer:
    """SGD with Detectron2's clipping: the gradient of each parameter by its own norm.

    Args:
        params: of Detectron2's ``get_default_optimizer_params``.
        lr: the learning rate.
        momentum: of SGD.
        weight_decay: of SGD; ``params`` may have their own.
        clip_norm: the largest norm.
    """
    cfg = get_cfg()
    clip = {"ENABLED": True, "CLIP_TYPE": "norm", "CLIP_VALUE": clip_norm}
    cfg.SOLVER.CLIP_GRADIENTS.update(clip)
    kind = maybe_add_gradient_clipping(cfg, torch.optim.SGD)
    return kind(params, lr=lr, momentum=momentum, weight_decay=weight_decay)


def step_schedule(max_iter: int, steps: Sequence[int], warmup_iters: int) -> DictConfig:
    """The call of Detectron2's default schedule: a tenth after each step, with a linear warm-up.

    Args:
        max_iter: iterations of the training.
        steps: iterations after which the rate falls.
        warmup_iters: iterations of the warm-up, from a thousandth.
    """
    return LazyCall(WarmupParamScheduler)(
        scheduler=LazyCall(MultiStepParamScheduler)(
            values=[0.1**k for k in range(len(steps) + 1)],
            milestones=list(steps),
            num_updates=max_iter,
        ),
        warmup_factor=0.001,
        warmup_length=warmup_iters / max_iter,
        warmup_method="linear",
    )
