"""A trainer that a signal stops between two steps, with a checkpoint of the last."""

import datetime
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch.distributed as dist
from detectron2.config import CfgNode
from detectron2.engine import DefaultTrainer, hooks
from detectron2.evaluation import DatasetEvaluator
from detectron2.utils import comm
from torch import nn

from nonlocal_det.data import TrainStream, build_test_loader

from .group import is_loss
from .signals import Stopped, StopSignals

logger = logging.getLogger("nonlocal_det")
_SIGNALS = StopSignals()  # a process has one set of them
_NOTICED, _SAVED = datetime.timedelta(seconds=5), datetime.timedelta(minutes=10)


class StoppableTrainer(DefaultTrainer):
    """Detectron2's, with an orderly end on SIGTERM and SIGINT.

    The step is finished, a checkpoint saved, and the process ends with status 143 or 130. All
    processes of a training agree on the step, whichever has got the signal. An evaluation is left
    at once: it is done again on a resume. A second signal ends the process at once.
    """

    _done: int | None = None  # the last iteration whose step is finished

    def train(self) -> Any:
        """Train.

        Returns:
            As Detectron2's.

        Raises:
            Stopped: by a signal; all is saved.
        """
        try:
            with _SIGNALS:
                try:
                    return super().train()
                except Stopped as stop:
                    self._leave(stop)
                    raise
                except RuntimeError as error:
                    left = self._left_by_another(error)
                    if left is None:
                        raise
                    self._leave(left)
                    raise left from error
        finally:
            if isinstance(self.data_loader, TrainStream):
                self.data_loader.close()

    def after_step(self) -> None:
        """See whether a process has got a signal, and run the hooks.

        Raises:
            Stopped: one has; in all of them.
        """
        self._done = self.iter
        number = _SIGNALS.number
        if comm.get_world_size() > 1:
            number = _SIGNALS.number = max(comm.all_gather(number))
        super().after_step()  # an evaluation is not begun then
        if number:
            raise Stopped(number, together=True)

    def after_train(self) -> None:
        """Run the hooks, unless the training is to go on another time: then close the logs."""
        error = sys.exc_info()[1]
        if not isinstance(error, Stopped) and self._left_by_another(error) is None:
            super().after_train()
            return
        for hook in self._hooks:
            if isinstance(hook, hooks.PeriodicWriter):
                for writer in hook._writers:
                    writer.close()

    @classmethod
    def test(
        cls,
        cfg: CfgNode,
        model: nn.Module,
        evaluators: DatasetEvaluator | Sequence[DatasetEvaluator] | None = None,
    ) -> dict[str, Any]:
        """Evaluate; within a training, until a signal.

        All processes evaluate what the main one has and saves: each has its own running statistics
        of batch norms, and Detectron2 evaluates every image with those of the process it falls to.

        Args:
            cfg: a full config.
            model: with its weights.
            evaluators: one for each of ``DATASETS.TEST``; None: as `build_evaluator` makes them.

        Returns:
            The metrics of each task.

        Raises:
            Stopped: a signal has come.
        """
        with _SIGNALS.interruptible():
            if comm.get_world_size() > 1:
                for buffer in model.buffers():
                    dist.broadcast(buffer, 0)
            results: dict[str, Any] = super().test(cfg, model, evaluators)
        return results

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> Any:
        """Detectron2's, which names an unreadable image and leaves signals to the training."""
        return build_test_loader(cfg, dataset_name)

    def _leave(self, stop: Stopped) -> None:
        """Save; a launcher ends all processes once one has ended, so none ends before that."""
        if stop.together or comm.get_world_size() == 1:
            self._save(stop)
            comm.synchronize()
            return
        _tell("asked", str(stop.number))
        if comm.is_main_process():
            _tell("stopping")
            self._save(stop)
            _tell("stopped")
        else:
            _wait_for_the_main_process()

    def _left_by_another(self, error: BaseException | None) -> Stopped | None:
        """The stop of which a lost process died that this one waited for, all its steps done.

        An evaluation is left by each process at another place of it: who was done with it waits.
        """
        if not isinstance(error, RuntimeError) or not is_loss(error) or self._done is None:
            return None
        between_steps = self.iter in (self._done, self.max_iter)
        number = (_SIGNALS.number or _asked_for()) if between_steps else 0
        return Stopped(number) if number else None

    def _save(self, stop: Stopped) -> None:
        if not comm.is_main_process():
            return
        if self._done is not None and not self._is_saved(self._done):
            self.checkpointer.save(f"model_{self._done:07d}", iteration=self._done)
        done = self.start_iter if self._done is None else self._done + 1
        logger.warning(
            f"{signal.Signals(stop.number).name}: stopped after iteration {done} of "
            f"{self.max_iter}, which is saved; continue with --resume"
        )

    def _is_saved(self, iteration: int) -> bool:
        """Whether the checkpointer's own period has saved it."""
        last = iteration + 1 >= self.max_iter
        return any(
            isinstance(hook, hooks.PeriodicCheckpointer)
            and (last or (iteration + 1) % hook.period == 0)
            for hook in self._hooks
        )


def _store() -> dist.Store:
    """Not a collective: an evaluation was left, by each process at another place of it."""
    store: dist.Store = dist.distributed_c10d._get_default_store()
    return store


def _tell(what: str, value: str = "") -> None:
    with suppress(RuntimeError):  # whoever keeps the store is gone: none is left to be told
        _store().set(what, value)


def _asked_for() -> int:
    """The signal on which another process has left an evaluation; 0: none has."""
    with suppress(RuntimeError):
        if _store().check(["asked"]):
            return int(_store().get("asked"))
    return 0


def _wait_for_the_main_process() -> None:
    with suppress(RuntimeError):  # it is gone, or inside a collective that waits for this process
        _store().wait(["stopping"], _NOTICED)
        _store().wait(["stopped"], _SAVED)
