"""The evaluations beside a training's metrics, and what follows from them, as hooks."""

import logging
import math
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import HookBase, hooks
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from nonlocal_det.data import VALIDATION, build_validation_loader, name_of, seeded
from nonlocal_det.evaluation import augment_model

from .best_metric import EarlyStop, KeepBest
from .step import Precision, bare_model, precision_of
from .stop import STOP
from .weight_average import WeightAverage

if TYPE_CHECKING:
    from .trainer import Trainer

logger = logging.getLogger("nonlocal_det")


def add_evaluations(trainer: "Trainer", built: list[HookBase | None]) -> None:
    """Add the hooks of a trainer's options to its others, in place."""
    cfg, options, period = trainer.cfg, trainer.options, trainer.cfg.TEST.EVAL_PERIOD

    def note(results: dict[str, Any]) -> dict[str, Any]:
        trainer.last_results.update(results)
        return results

    extra: list[HookBase] = []
    if options.ema is not None:
        average = WeightAverage(bare_model(trainer.model), options.ema, trainer.checkpointer)
        built.insert(1, average)

        def evaluate_average() -> dict[str, Any]:
            return note(evaluate_as("EMA", trainer, cfg, average.model))

        extra.append(hooks.EvalHook(period, evaluate_average))
    if options.validation_loss:
        extra.append(hooks.EvalHook(period, lambda: note(validate(trainer))))
    index = next(n for n, hook in enumerate(built) if isinstance(hook, hooks.EvalHook)) + 1
    built[index:index] = extra
    if trainer.checkpoints.keep_best and comm.is_main_process():
        built.append(KeepBest(trainer.checkpointer, trainer.checkpoints.keep_best, period))
    if cfg.TEST.AUG.ENABLED:
        built.append(hooks.EvalHook(0, lambda: evaluate_augmented(trainer, cfg, trainer.model)))
    if options.early_stop:
        built.append(EarlyStop(options.early_stop, options.patience, period))


def evaluate_augmented(
    trainer: "Trainer | type[Trainer]", cfg: CfgNode, model: nn.Module
) -> dict[str, Any]:
    """Evaluate with test-time augmentation; the keys of the results end in ``_TTA``."""
    return evaluate_as("TTA", trainer, cfg, augment_model(cfg, model))


def evaluate_as(
    kind: str, trainer: "Trainer | type[Trainer]", cfg: CfgNode, model: nn.Module
) -> dict[str, Any]:
    """Evaluate into ``OUTPUT_DIR/inference_<kind>``; the keys of the results end in ``_<kind>``."""
    logger.info(f"Evaluating into inference_{kind}")
    folder = str(Path(cfg.OUTPUT_DIR) / f"inference_{kind}")
    evaluators = [trainer.build_evaluator(cfg, name, folder) for name in cfg.DATASETS.TEST]
    results = trainer.test(cfg, model, evaluators)
    return OrderedDict((f"{key}_{kind}", value) for key, value in results.items())


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
