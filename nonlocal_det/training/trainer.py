"""Detectron2's default trainer with our evaluator and test-time augmentation, on CPU or GPU."""

import logging
import os
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import HookBase, SimpleTrainer, TrainerBase, defaults, hooks
from detectron2.evaluation import DatasetEvaluator
from detectron2.modeling import GeneralizedRCNNWithTTA
from detectron2.utils import comm
from torch import nn

from nonlocal_det.checkpoint import CheckpointOptions, SafeCheckpointer
from nonlocal_det.configs import config_hash
from nonlocal_det.data import TrainStream, build_train_stream
from nonlocal_det.data.skipping import MAX_BAD_IMAGES
from nonlocal_det.detection import nonlocal_blocks
from nonlocal_det.evaluation import build_evaluator

from .exact_resume import ExactResume
from .keep_best import KeepBest
from .metrics_history import repeat_last_step
from .step import (
    BlockWatch,
    NonFiniteGuard,
    StepOptions,
    TrainingStep,
    bare_model,
    lay_out,
    mixed_dtype,
)
from .stoppable import StoppableTrainer
from .timing import InferenceTimer

logger = logging.getLogger("nonlocal_det")


class Trainer(StoppableTrainer):
    """Detectron2's `DefaultTrainer` for this project's models; resumes exactly (`ExactResume`).

    Its ``checkpointer`` is a `SafeCheckpointer`. What else a resumed training needs can be added by
    ``trainer.checkpointer.add_checkpointable(name, object)`` before `resume_or_load`.

    Args:
        cfg: a full config, as `load_config` returns it.
        checkpoints: which of them to keep, and what to demand of those that are loaded.
        step: how a step is computed, and what becomes of one that fails.
        max_bad_images: images that may be unreadable, and are skipped.
    """

    def __init__(
        self,
        cfg: CfgNode,
        checkpoints: CheckpointOptions | None = None,
        step: StepOptions | None = None,
        max_bad_images: int = MAX_BAD_IMAGES,
    ) -> None:
        self.checkpoints = checkpoints or CheckpointOptions()  # before the hooks are built
        with _parts_for(torch.device(cfg.MODEL.DEVICE)):
            super().__init__(cfg)
        if cfg.SOLVER.AMP.ENABLED:
            self._set_precision()
        self.step = self._build_step(step or StepOptions())
        if isinstance(self.data_loader, TrainStream):
            self.data_loader.skipped.limit = max_bad_images
        self.inference_timer = InferenceTimer(self.model)
        if cfg.TEST.AUG.ENABLED:
            self.register_hooks(
                [hooks.EvalHook(0, lambda: self.test_with_tta(self.cfg, self.model))]
            )

    def build_hooks(self) -> list[HookBase | None]:
        """Detectron2's hooks with our checkpointer, and those of the exact resume and the best."""
        options = self.checkpoints
        self.checkpointer = SafeCheckpointer(
            self.model,
            self.cfg.OUTPUT_DIR,
            checkpointables={"trainer": weakref.proxy(self)},
            made_by=options.made_by,
            keep_last=options.keep_last,
            require="nothing" if options.allow_unmatched else "backbone",
            trust=options.trust,
        )
        self.exact_resume = ExactResume(self.cfg)
        found: list[HookBase | None] = [self.exact_resume, *super().build_hooks()]
        if options.keep_best and comm.is_main_process():
            period = self.cfg.TEST.EVAL_PERIOD
            found.append(KeepBest(self.checkpointer, options.keep_best, period))
        self._watch_blocks(found)
        return found

    def before_train(self) -> None:
        """Run the hooks, then what the resumed training may not have come to."""
        super().before_train()
        repeat_last_step(self)

    def state_dict(self) -> dict[str, Any]:
        """Iteration, scheduler, optimizer and AMP scaler, in the format of Detectron2's main.

        The 0.6 release leaves out what its inner trainer has: optimizer and scaler.
        """
        state: dict[str, Any] = TrainerBase.state_dict(self)
        state["_trainer"] = self._trainer.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` has given, or Detectron2 itself."""
        TrainerBase.load_state_dict(self, state)
        if "_trainer" in state:
            self._trainer.load_state_dict(state["_trainer"])
        else:
            logger.warning(
                "the checkpoint has no optimizer, as those of Detectron2's 0.6 release: the "
                "momentum starts at 0"
            )

    @classmethod
    def build_train_loader(cls, cfg: CfgNode) -> Iterable[list[dict[str, Any]]]:
        """A stream that is taken up where it was; overwritten by another, that starts anew."""
        return build_train_stream(cfg)

    @classmethod
    def build_model(cls, cfg: CfgNode) -> nn.Module:
        """Build the model and say which non-local blocks it has."""
        return prepare_model(super().build_model(cfg), cfg)

    @classmethod
    def build_evaluator(
        cls, cfg: CfgNode, dataset_name: str, output_folder: str | None = None
    ) -> DatasetEvaluator:
        """COCO's metrics for what the data set has."""
        return build_evaluator(cfg, dataset_name, output_folder)

    @classmethod
    def config_text(cls, cfg: CfgNode) -> str:
        """What this training's files say of its config."""
        text: str = cfg.dump()
        return text

    @classmethod
    def config_hash(cls, cfg: CfgNode) -> str:
        """Of the config, without what does not make the model."""
        return config_hash(cfg)

    @classmethod
    def test_with_tta(cls, cfg: CfgNode, model: nn.Module) -> dict[str, Any]:
        """Evaluate with test-time augmentation; the keys of the results end in ``_TTA``."""
        logger.info("Evaluating with test-time augmentation (TEST.AUG)")
        folder = os.path.join(cfg.OUTPUT_DIR, "inference_TTA")
        evaluators = [cls.build_evaluator(cfg, name, folder) for name in cfg.DATASETS.TEST]
        results = cls.test(cfg, GeneralizedRCNNWithTTA(cfg, model), evaluators)
        return OrderedDict((f"{key}_TTA", value) for key, value in results.items())

    @property
    def last_results(self) -> dict[str, Any]:
        """The metrics of the last evaluation; empty before the first, and in other processes."""
        return getattr(self, "_last_eval_results", None) or {}

    def resume_or_load(self, resume: bool = True) -> None:
        """Continue from the last checkpoint, or start from ``MODEL.WEIGHTS``; say which."""
        if resume and not self.checkpointer.has_checkpoint():
            logger.warning(
                f"--resume: there is no checkpoint in {self.cfg.OUTPUT_DIR}; starting at iteration "
                f"0 from MODEL.WEIGHTS={self.cfg.MODEL.WEIGHTS!r}"
            )
        super().resume_or_load(resume=resume)

    def _watch_blocks(self, found: list[HookBase | None]) -> None:
        """Add the watch in the process that writes, at its period.

        It comes before the hook that saves: a checkpoint has what is logged up to its iteration.
        """
        blocks = nonlocal_blocks(bare_model(self.model))
        writers = [hook for hook in found if isinstance(hook, hooks.PeriodicWriter)]
        if blocks and writers:
            found.insert(1, BlockWatch(blocks, writers[0]._period))

    def _set_precision(self) -> None:
        """Compute in the device's mixed precision, and say which it is."""
        name = self.cfg.MODEL.DEVICE
        dtype = mixed_dtype(torch.device(name))
        self._trainer.precision = dtype
        if dtype is not None:
            logger.info(f"SOLVER.AMP.ENABLED: {name} computes in {dtype} where autocast does")
            return
        logger.warning(
            "SOLVER.AMP.ENABLED: this processor has no instructions for bfloat16, which would be "
            "slower than full precision: the training is in full precision"
        )

    def _build_step(self, options: StepOptions) -> TrainingStep:
        guard = NonFiniteGuard(
            Path(self.cfg.OUTPUT_DIR),
            limit=options.skip,
            config=self.config_text(self.cfg),
            made_by=self.checkpoints.made_by,
        )
        self.checkpointer.add_checkpointable("nonfinite", guard)
        return TrainingStep(self._trainer, options, guard)

    def run_step(self) -> None:
        """One batch, by our step; the hooks' ``before_step`` have run."""
        self._trainer.iter = self.iter
        self.step.run()


def prepare_model(model: nn.Module, cfg: CfgNode) -> nn.Module:
    """Log which non-local blocks a model has, and lay it out for its precision."""
    blocks = nonlocal_blocks(model)
    logger.info(f"{len(blocks)} non-local blocks: {', '.join(blocks) or 'a baseline'}")
    mixed = cfg.SOLVER.AMP.ENABLED
    return lay_out(model, mixed_dtype(torch.device(cfg.MODEL.DEVICE)) if mixed else None)


@contextmanager
def _parts_for(device: torch.device) -> Iterator[None]:
    """Let Detectron2 build a trainer for the CPU.

    Torch takes no device ids for a model there, and bfloat16 needs no `AMPTrainer`'s scaler.
    """
    original = defaults.create_ddp_model, defaults.AMPTrainer
    if device.type == "cpu":
        defaults.create_ddp_model = partial(original[0], device_ids=None)
        defaults.AMPTrainer = SimpleTrainer
    try:
        yield
    finally:
        defaults.create_ddp_model, defaults.AMPTrainer = original
