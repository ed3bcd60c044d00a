"""Optimizer and schedule as LazyConfig nodes, and what those nodes call."""

from collections.abc import Sequence
from typing import Any

import torch
from detectron2.config import LazyCall, get_cfg
from detectron2.solver import WarmupParamScheduler, build_optimizer
from detectron2.solver.build import get_default_optimizer_params, maybe_add_gradient_clipping
from fvcore.common.param_scheduler import MultiStepParamScheduler
from omegaconf import DictConfig

from nonlocal_det.detection.lazy import ReadConfig


def clipped_sgd(
    *,
    params: list[dict[str, Any]],
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool = False,
    foreach: bool | None = None,
    clip_type: str = "norm",
    clip_value: float = 1.0,
    norm_type: float = 2.0,
) -> torch.optim.Optimizer:
    """SGD with Detectron2's clipping: the gradient of each parameter by itself.

    Args:
        params: of Detectron2's ``get_default_optimizer_params``.
        lr: the learning rate.
        momentum: of SGD.
        weight_decay: of SGD; groups of ``params`` may have their own.
        nesterov: whether the momentum is Nesterov's.
        foreach: whether torch updates all parameters together; None: as it sees fit.
        clip_type: ``norm`` or ``value``.
        clip_value: the largest norm, or magnitude.
        norm_type: p of the norm.
    """
    cfg = get_cfg()
    clip = cfg.SOLVER.CLIP_GRADIENTS
    clip.ENABLED, clip.CLIP_TYPE = True, clip_type
    clip.CLIP_VALUE, clip.NORM_TYPE = clip_value, norm_type
    made: torch.optim.Optimizer = maybe_add_gradient_clipping(cfg, torch.optim.SGD)(
        params,
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        nesterov=nesterov,
        foreach=foreach,
    )
    return made


def step_schedule(
    *,
    max_iter: int,
    steps: Sequence[int],
    gamma: float = 0.1,
    warmup_iters: int = 1000,
    warmup_factor: float = 0.001,
    warmup_method: str = "linear",
) -> WarmupParamScheduler:
    """Detectron2's default schedule, in iterations: they stay what they are in a shorter training.

    Args:
        max_iter: iterations of the training.
        steps: iterations after which the rate falls; those beyond ``max_iter`` do nothing.
        gamma: what the rate is multiplied with then.
        warmup_iters: iterations of the warm-up.
        warmup_factor: of the first one's rate.
        warmup_method: ``linear`` or ``constant``.
    """
    reached = [step for step in steps if step <= max_iter]
    scheduler = MultiStepParamScheduler(
        values=[gamma**k for k in range(len(reached) + 1)],
        milestones=reached,
        num_updates=max_iter,
    )
    length = min(warmup_iters / max_iter, 1.0)
    return WarmupParamScheduler(scheduler, warmup_factor, length, warmup_method)


def optimizer_node(cfg: ReadConfig) -> DictConfig:
    """SGD as ``SOLVER`` says; ``params.model`` is set to the model before it is called."""
    solver, clip = cfg.SOLVER, cfg.SOLVER.CLIP_GRADIENTS
    node = LazyCall(torch.optim.SGD)(
        params=LazyCall(get_default_optimizer_params)(
            base_lr="${..lr}",
            weight_decay_norm=solver.WEIGHT_DECAY_NORM,
            bias_lr_factor=solver.BIAS_LR_FACTOR,
            weight_decay_bias=solver.WEIGHT_DECAY_BIAS,
        ),
        lr=solver.BASE_LR,
        momentum=solver.MOMENTUM,
        weight_decay=solver.WEIGHT_DECAY,
        nesterov=solver.NESTEROV,
        foreach=_foreach(),
    )
    clipping = {
        "clip_type": clip.CLIP_TYPE,
        "clip_value": clip.CLIP_VALUE,
        "norm_type": clip.NORM_TYPE,
    }
    if clip.ENABLED:
        node._target_ = clipped_sgd
        node.update(clipping)
    return node


def _foreach() -> bool | None:
    """What Detectron2 asks of SGD: its main True, the 0.6 release says nothing."""
    model = torch.nn.ParameterList([torch.zeros(1)])  # nothing is drawn
    made = build_optimizer(get_cfg(), model)
    found: bool | None = made.defaults["foreach"]
    return found


def schedule_node(cfg: ReadConfig) -> DictConfig:
    """The call of `step_schedule`; its length is that of the training."""
    solver = cfg.SOLVER
    return LazyCall(step_schedule)(
        max_iter="${train.max_iter}",
        steps=solver.STEPS,
        gamma=solver.GAMMA,
        warmup_iters=solver.WARMUP_ITERS,
        warmup_factor=solver.WARMUP_FACTOR,
        warmup_method=solver.WARMUP_METHOD,
    )
