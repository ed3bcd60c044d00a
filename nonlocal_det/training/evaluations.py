"""The evaluations beside a training's metrics, and what follows from them, as hooks."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detectron2.engine import HookBase, hooks
from torch import nn

from nonlocal_det.data import build_validation_loader

from .best_metric import EarlyStop
from .step import bare_model, precision_of
from .stop import STOP
from .validation_loss import validation_losses
from .weight_average import WeightAverage

if TYPE_CHECKING:
    from .trainer import Trainer

logger = logging.getLogger("nonlocal_det")


@dataclass(frozen=True)
class EvaluationOptions:
    """What is evaluated beside the model's metrics, and what follows from them.

    Args:
        validation_loss: compute the losses on ``DATASETS.TEST`` too.
        ema: the decay of averaged weights, which are evaluated and saved too; None: none.
        early_stop: a metric, as ``bbox/AP`` or with ``:min`` after it, that ends the training.
        patience: evaluations in a row that ``early_stop`` may be no better.
    """

    validation_loss: bool = False
    ema: float | None = None
    early_stop: str | None = None
    patience: int = 5


def add_evaluations(trainer: "Trainer", found: list[HookBase | None]) -> None:
    """Add the hooks of a trainer's `EvaluationOptions` to its others, in place."""
    options, period = trainer.evaluations, trainer.cfg.TEST.EVAL_PERIOD

    def note(results: dict[str, Any]) -> dict[str, Any]:
        trainer.last_results.update(results)
        return results

    extra: list[HookBase] = []
    if options.ema is not None:
        average = WeightAverage(bare_model(trainer.model), options.ema, trainer.checkpointer)
        found.insert(1, average)
        extra.append(hooks.EvalHook(period, lambda: note(_test_average(trainer, average.model))))
    if options.validation_loss:
        extra.append(hooks.EvalHook(period, lambda: note(validate(trainer))))
    place = next(n for n, hook in enumerate(found) if isinstance(hook, hooks.EvalHook)) + 1
    found[place:place] = extra
    if options.early_stop:
        found.append(EarlyStop(options.early_stop, options.patience, period))


def _test_average(trainer: "Trainer", model: nn.Module) -> dict[str, Any]:
    logger.info("Evaluating the averaged weights (--ema)")
    return trainer.test_as("EMA", trainer.cfg, model)


def validate(trainer: "Trainer") -> dict[str, Any]:
    """Compute the losses on ``DATASETS.TEST``; until a signal.

    Returns:
        By name under ``validation``, of several data sets under their names; empty in all
        processes but the first.

    Raises:
        Stopped: a signal has come.
    """
    results: dict[str, Any] = {}
    names = trainer.cfg.DATASETS.TEST
    precision, model = precision_of(trainer._trainer), bare_model(trainer.model)
    with STOP.interruptible():
        for name in names:
            loader = build_validation_loader(trainer.cfg, name)
            if loader is None:
                logger.warning(f"--val-loss: data set {name!r} has no annotations")
            elif losses := validation_losses(model, loader, precision):
                parts = ", ".join(f"{key} {value:.4g}" for key, value in losses.items())
                logger.info(f"validation losses of {name}: {parts}")
                results[name] = {"validation": losses}
    return results.get(names[0], {}) if len(names) == 1 else results
