"""Detectron2's default trainer that resumes exactly and stops on a signal, on CPU or GPU."""

import logging
import signal
import sys
import weakref
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch.distributed as dist
from detectron2.config import CfgNode
from detectron2.engine import DefaultTrainer, HookBase, TrainerBase, create_ddp_model, hooks
from detectron2.evaluation import DatasetEvaluator, verify_results
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger
from torch import nn

from nonlocal_det.checkpoint import CheckpointOptions, SafeCheckpointer, names_of_data
from nonlocal_det.data import TrainStream, build_test_loader, build_train_stream
from nonlocal_det.evaluation import build_evaluator
from nonlocal_det.layers import nonlocal_blocks

from .best_metric import BestMetric, EarlyStopped
from .evaluations import add_evaluations
from .exact_resume import ExactResume
from .metrics_history import repeat_last_step
from .options import TrainingOptions
from .process_group import is_lost_peer
from .step import (
    BlockWatch,
    NonFiniteGuard,
    TrainingStep,
    autocast_dtype,
    bare_model,
    build_inner_trainer,
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
        options: how steps are computed and what is evaluated beside the metrics.

    Attributes:
        early_stop: why the training ended before ``SOLVER.MAX_ITER``; empty if it did not.
    """

    iter: int
    _done = -1  # the last iteration whose step is finished

    def __init__(
        self,
        cfg: CfgNode,
        checkpoints: CheckpointOptions | None = None,
        options: TrainingOptions | None = None,
    ) -> None:
        TrainerBase.__init__(self)
        if not logging.getLogger("detectron2").isEnabledFor(logging.INFO):
            setup_logger()
        self.cfg = cfg = DefaultTrainer.auto_scale_workers(cfg, comm.get_world_size())
        self.checkpoints = checkpoints or CheckpointOptions()
        self.options = options or TrainingOptions()
        self.start_iter, self.max_iter = 0, cfg.SOLVER.MAX_ITER
        self.early_stop = ""
        model = self.build_model(cfg)
        optimizer = self.build_optimizer(cfg, model)
        loader = self.build_train_loader(cfg)
        if isinstance(loader, TrainStream):
            loader.skipped.limit = self.options.max_bad_images
        devices = [comm.get_local_rank()] if cfg.MODEL.DEVICE.startswith("cuda") else None
        model = create_ddp_model(model, device_ids=devices, broadcast_buffers=False)
        self._trainer = build_inner_trainer(cfg, model, loader, optimizer)
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        guard = NonFiniteGuard(
            Path(cfg.OUTPUT_DIR), self.options.skip, cfg.dump(), self.checkpoints.made_by
        )
        self.step = TrainingStep(
            self._trainer, guard, self.options.accumulate, stop_flag=lambda: STOP.number
        )
        self.checkpointer = SafeCheckpointer(
            self.model,
            cfg.OUTPUT_DIR,
            checkpointables={"trainer": weakref.proxy(self), "nonfinite": guard},
            made_by=self.checkpoints.made_by,
            keep_last=self.checkpoints.keep_last,
            require="nothing" if self.checkpoints.allow_unmatched else "backbone",
            trust=self.checkpoints.trust,
            names=names_of_data(cfg.DATASETS.TRAIN),
        )
        self.exact_resume = ExactResume(cfg, optimizer)
        self.register_hooks(self.build_hooks())

    def build_hooks(self) -> list[HookBase | None]:
        """Build Detectron2's hooks, and those of the exact resume, evaluations and blocks."""
        built: list[HookBase | None] = [self.exact_resume, *super().build_hooks()]
        blocks = nonlocal_blocks(bare_model(self.model))
        writers = [hook for hook in built if isinstance(hook, hooks.PeriodicWriter)]
        if blocks and writers:  # before the hook that saves: a checkpoint has what is logged
            built.insert(1, BlockWatch(blocks, writers[0]._period))
        add_evaluations(self, built)
        return built

    def train(self) -> dict[str, Any]:
        """Train as Detectron2; return the `last_results`.

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
        elif isinstance(error, Stopped) or self._lost_peer_between_steps(error):
            writers = (h._writers for h in self._hooks if isinstance(h, hooks.PeriodicWriter))
            for writer in chain(*writers):
                writer.close()
        else:
            super().after_train()

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
            name = signal.Signals(STOP.number).name if STOP.number else "lost a process"
            done, count = self._done, self._done + 1
            saved = count % self.cfg.SOLVER.CHECKPOINT_PERIOD == 0 or count >= self.max_iter
            if done >= self.start_iter and not saved:  # by Detectron2's own hook
                self.checkpointer.save(f"model_{done:07d}", iteration=done)
            logger.warning(
                f"{name}: stopped after iteration {count} of {self.max_iter}, which is saved; "
                "continue with --resume"
            )
        if stopped and self.step.stop_asked:
            comm.synchronize()
        if not stopped and STOP.number:
            raise Stopped(STOP.number) from error

    def _lost_peer_between_steps(self, error: BaseException | None) -> bool:
        return self.iter in (self._done, self.max_iter) and is_lost_peer(error)

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
