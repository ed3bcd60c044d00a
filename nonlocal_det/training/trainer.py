"""Detectron2's default trainer that resumes exactly and stops on a signal, on CPU or GPU."""

import logging
import os
import signal
import sys
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist
from detectron2.config import CfgNode
from detectron2.engine import (
    DefaultTrainer,
    HookBase,
    TrainerBase,
    hooks,
)
from detectron2.evaluation import DatasetEvaluator, verify_results
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger
from torch import nn

from nonlocal_det.checkpoint import CheckpointOptions, SafeCheckpointer, names_of_data
from nonlocal_det.data import (
    TrainStream,
    build_test_loader,
    build_train_stream,
)
from nonlocal_det.data.skipping import MAX_BAD_IMAGES
from nonlocal_det.evaluation import augment_model, build_evaluator
from nonlocal_det.layers import nonlocal_blocks

from .best_metric import BestMetric, EarlyStopped, KeepBest
from .evaluations import EvaluationOptions, add_evaluations
from .exact_resume import ExactResume
from .inner_trainer import autocast_dtype, build_inner_trainer, distribute
from .metrics_history import repeat_last_step
from .process_group import is_lost_peer
from .step import (
    BlockWatch,
    NonFiniteGuard,
    StepOptions,
    TrainingStep,
    bare_model,
    lay_out,
)
from .stop import STOP, Stopped

logger = logging.getLogger("nonlocal_det")


class Trainer(DefaultTrainer):
    """Detectron2's `DefaultTrainer` that resumes exactly (`ExactResume`) and stops on a signal.

    On SIGTERM and SIGINT the step is finished in all processes, a checkpoint saved, and the process
    ends with status 143 or 130. An evaluation is left at once: a resumed training repeats it.

    Its ``checkpointer`` is a `SafeCheckpointer`. What else a resumed training needs can be added by
    ``trainer.checkpointer.add_checkpointable(name, object)`` before `resume_or_load`. Mapper,
    check and evaluator are those that the data's metadata names.

    Args:
        cfg: a full config, as `load_config` returns it.
        checkpoints: which of them to keep, and what to demand of those that are loaded.
        step: how a step is computed, and what becomes of one that fails.
        max_bad_images: images that may be unreadable, and are skipped.
        evaluations: what they have beside the metrics.

    Attributes:
        early_stop: why the training ended before ``SOLVER.MAX_ITER``; empty if it did not.
    """

    iter: int
    _done = -1  # the last iteration whose step is finished

    def __init__(
        self,
        cfg: CfgNode,
        checkpoints: CheckpointOptions | None = None,
        step: StepOptions | None = None,
        max_bad_images: int = MAX_BAD_IMAGES,
        evaluations: EvaluationOptions | None = None,
    ) -> None:
        TrainerBase.__init__(self)
        if not logging.getLogger("detectron2").isEnabledFor(logging.INFO):
            setup_logger()
        cfg = DefaultTrainer.auto_scale_workers(cfg, comm.get_world_size())
        self.cfg = cfg
        self.start_iter, self.max_iter = 0, cfg.SOLVER.MAX_ITER
        model = self.build_model(cfg)
        optimizer = self.build_optimizer(cfg, model)
        loader = self.build_train_loader(cfg)
        self._trainer = build_inner_trainer(cfg, distribute(model), loader, optimizer)
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        self.checkpoints = checkpoints or CheckpointOptions()
        self.checkpointer = SafeCheckpointer(
            self.model,
            cfg.OUTPUT_DIR,
            checkpointables={"trainer": weakref.proxy(self)},
            made_by=self.checkpoints.made_by,
            keep_last=self.checkpoints.keep_last,
            require="nothing" if self.checkpoints.allow_unmatched else "backbone",
            trust=self.checkpoints.trust,
            names=names_of_data(cfg.DATASETS.TRAIN),
        )
        self.exact_resume = ExactResume(cfg, optimizer)
        self.evaluations = evaluations or EvaluationOptions()
        self.early_stop = ""
        self.register_hooks(self.build_hooks())
        self.step = self._build_step(step or StepOptions())
        if isinstance(loader, TrainStream):
            loader.skipped.limit = max_bad_images

    def build_hooks(self) -> list[HookBase | None]:
        """Build Detectron2's hooks, and those of the exact resume, the best and the blocks."""
        found: list[HookBase | None] = [self.exact_resume, *super().build_hooks()]
        if self.checkpoints.keep_best and comm.is_main_process():
            period = self.cfg.TEST.EVAL_PERIOD
            found.append(KeepBest(self.checkpointer, self.checkpoints.keep_best, period))
        blocks = nonlocal_blocks(bare_model(self.model))
        writers = [hook for hook in found if isinstance(hook, hooks.PeriodicWriter)]
        if blocks and writers:  # before the hook that saves: a checkpoint has what is logged
            found.insert(1, BlockWatch(blocks, writers[0]._period))
        if self.cfg.TEST.AUG.ENABLED:
            found.append(hooks.EvalHook(0, lambda: self.test_with_tta(self.cfg, self.model)))
        add_evaluations(self, found)
        return found

    def train(self) -> dict[str, Any]:
        """Train as Detectron2.

        Returns:
            The `last_results`.

        Raises:
            Stopped: by a signal; all is saved.
        """
        try:
            with STOP:
                try:
                    TrainerBase.train(self, self.start_iter, self.max_iter)
                except EarlyStopped:
                    pass
                except (Stopped, RuntimeError) as error:
                    self._leave(error)
                    raise
        finally:
            if isinstance(self.data_loader, TrainStream):
                self.data_loader.close()
        if self.cfg.TEST.EXPECTED_RESULTS and comm.is_main_process():
            verify_results(self.cfg, self.last_results)
        return self.last_results

    def run_step(self) -> None:
        """Take one batch by our step; the hooks' ``before_step`` have run."""
        self._trainer.iter = self.iter
        self.step.run()

    def after_step(self) -> None:
        """Run the hooks, and stop if a process has got a signal.

        Raises:
            Stopped: one has; in all of them.
        """
        self._done = self.iter
        stop = self.step.stop_asked if comm.get_world_size() > 1 else STOP.number
        if stop:
            STOP.note(stop)
        super().after_step()  # an evaluation is not begun then
        if stop:
            raise Stopped(stop)

    def before_train(self) -> None:
        """Run the hooks, then what the resumed training may have left undone."""
        self._done = self.start_iter - 1
        super().before_train()
        repeat_last_step(self)

    def after_train(self) -> None:
        """Run the hooks, or close the logs only if the training is to go on another time."""
        error = sys.exc_info()[1]
        if isinstance(error, EarlyStopped):
            self._finish_early(str(error))
            return
        if not isinstance(error, Stopped) and not self._lost_peer_between_steps(error):
            super().after_train()
            return
        for hook in self._hooks:
            if isinstance(hook, hooks.PeriodicWriter):
                for writer in hook._writers:
                    writer.close()

    def _finish_early(self, why: str) -> None:
        """Save the last checkpoint and run the hooks, but evaluate no second time."""
        last, planned = self.iter, self.max_iter
        self.early_stop = f"{why}: ended after {last + 1} of {planned} iterations"
        logger.info(self.early_stop)
        self.checkpointer.save("model_final", iteration=last)
        self.iter = self.max_iter = self.storage.iter = last + 1
        for hook in self._hooks:
            evaluated = isinstance(hook, hooks.EvalHook) and hook._period > 0
            if not evaluated and not isinstance(hook, BestMetric):
                hook.after_train()

    def _leave(self, error: BaseException) -> None:
        """Save the last finished step.

        A launcher ends all processes once one has ended. So where all stop at the same step, they
        wait for the main one; it saves without the others where an evaluation is left.

        Raises:
            Stopped: another process that got the signal is gone already.
        """
        stopped = isinstance(error, Stopped)
        if not stopped and not self._lost_peer_between_steps(error):
            return
        STOP.hold()
        if comm.is_main_process():
            self._save_last_step(STOP.number)
        if stopped and self.step.stop_asked:
            comm.synchronize()
        if not stopped and STOP.number:
            raise Stopped(STOP.number) from error

    def _lost_peer_between_steps(self, error: BaseException | None) -> bool:
        return self.iter in (self._done, self.max_iter) and is_lost_peer(error)

    def _save_last_step(self, number: int) -> None:
        if self._done >= self.start_iter and not self._is_saved(self._done):
            self.checkpointer.save(f"model_{self._done:07d}", iteration=self._done)
        why = signal.Signals(number).name if number else "lost a process"
        logger.warning(
            f"{why}: stopped after iteration {self._done + 1} of {self.max_iter}, which is saved; "
            "continue with --resume"
        )

    def _is_saved(self, iteration: int) -> bool:
        """Tell whether the checkpointer's own period has saved it."""
        last = iteration + 1 >= self.max_iter
        return any(
            isinstance(hook, hooks.PeriodicCheckpointer)
            and (last or (iteration + 1) % hook.period == 0)
            for hook in self._hooks
        )

    @classmethod
    def build_model(cls, cfg: CfgNode) -> nn.Module:
        """Build the model in the layout of its precision; log which non-local blocks it has."""
        model = super().build_model(cfg)
        blocks = nonlocal_blocks(model)
        logger.info(f"{len(blocks)} non-local blocks: {', '.join(blocks) or 'a baseline'}")
        return lay_out(model, autocast_dtype(cfg, model))

    @classmethod
    def build_train_loader(cls, cfg: CfgNode) -> Iterable[list[dict[str, Any]]]:
        """Build a stream that a resumed training continues; another loader starts anew."""
        return build_train_stream(cfg)

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> Any:
        """Build the loader, with the mapper that the data set's metadata names."""
        return build_test_loader(cfg, dataset_name)

    @classmethod
    def build_evaluator(
        cls, cfg: CfgNode, dataset_name: str, output_folder: str | None = None
    ) -> DatasetEvaluator:
        """Build the evaluator that the data set's metadata names."""
        return build_evaluator(cfg, dataset_name, output_folder)

    @classmethod
    def test(
        cls,
        cfg: CfgNode,
        model: nn.Module,
        evaluators: DatasetEvaluator | Sequence[DatasetEvaluator] | None = None,
    ) -> dict[str, Any]:
        """Evaluate as Detectron2; within a training, until a signal.

        All processes evaluate what the main one has and saves: each has its own running statistics
        of batch norms, and Detectron2 evaluates every image with those of the process it falls to.

        Raises:
            Stopped: a signal has come.
        """
        with STOP.interruptible():
            if comm.get_world_size() > 1:
                for buffer in model.buffers():
                    dist.broadcast(buffer, 0)
            results: dict[str, Any] = super().test(cfg, model, evaluators)
        return results

    @classmethod
    def test_with_tta(cls, cfg: CfgNode, model: nn.Module) -> dict[str, Any]:
        """Evaluate with test-time augmentation; the keys of the results end in ``_TTA``."""
        logger.info("Evaluating with test-time augmentation (TEST.AUG)")
        return cls.test_as("TTA", cfg, augment_model(cfg, model))

    @classmethod
    def test_as(cls, kind: str, cfg: CfgNode, model: nn.Module) -> dict[str, Any]:
        """Evaluate into a folder of its own; the keys of the results end in ``_<kind>``."""
        folder = os.path.join(cfg.OUTPUT_DIR, f"inference_{kind}")
        evaluators = [cls.build_evaluator(cfg, name, folder) for name in cfg.DATASETS.TEST]
        results = cls.test(cfg, model, evaluators)
        return OrderedDict((f"{key}_{kind}", value) for key, value in results.items())

    @property
    def last_results(self) -> dict[str, Any]:
        """The metrics of the last evaluation; empty before the first, and in other processes."""
        return getattr(self, "_last_eval_results", None) or {}

    def resume_or_load(self, resume: bool = True) -> None:
        """Continue from the last checkpoint, or start from ``MODEL.WEIGHTS``; log which."""
        if resume and not self.checkpointer.has_checkpoint():
            logger.warning(
                f"--resume: there is no checkpoint in {self.cfg.OUTPUT_DIR}; starting at iteration "
                f"0 from MODEL.WEIGHTS={self.cfg.MODEL.WEIGHTS!r}"
            )
        super().resume_or_load(resume=resume)

    def state_dict(self) -> dict[str, Any]:
        """Return iteration, scheduler, optimizer and scaler, in the format of Detectron2's main.

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

    def _build_step(self, options: StepOptions) -> TrainingStep:
        guard = NonFiniteGuard(
            Path(self.cfg.OUTPUT_DIR),
            limit=options.skip,
            config=self.cfg.dump(),
            made_by=self.checkpoints.made_by,
        )
        self.checkpointer.add_checkpointable("nonfinite", guard)
        return TrainingStep(self._trainer, options, guard, stop_flag=lambda: STOP.number)
