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
from torch.utils.data import DataLoader

from nonlocal_det.data import TrainStream, shield_worker

from .signals import Stopped, StopSignals

logger = logging.getLogger("nonlocal_det")
_SIGNALS = StopSignals()  # a process has one set of them
_SAVING = datetime.timedelta(seconds=30)  # for the main process, while the others wait


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
        if not isinstance(sys.exc_info()[1], Stopped):
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
        """Detectron2's, whose loading processes leave signals to the training."""
        loader = super().build_test_loader(cfg, dataset_name)
        if isinstance(loader, DataLoader) and loader.worker_init_fn is None:
            loader.worker_init_fn = shield_worker
        return loader

    def _leave(self, stop: Stopped) -> None:
        name = signal.Signals(stop.number).name
        if comm.is_main_process():
            if self._done is not None and not self._is_saved(self._done):
                self.checkpointer.save(f"model_{self._done:07d}", iteration=self._done)
            done = 0 if self._done is None else self._done + 1
            logger.warning(
                f"{name}: stopped after iteration {done or self.start_iter} of {self.max_iter}, "
                "which is saved; continue with --resume"
            )
        if stop.together:
            comm.synchronize()  # a launcher ends all once one has ended: not before it has saved
        elif comm.get_world_size() > 1:
            _wait_for_the_main_process()

    def _is_saved(self, iteration: int) -> bool:
        """Whether the checkpointer's own period has saved it."""
        last = iteration + 1 >= self.max_iter
        return any(
            isinstance(hook, hooks.PeriodicCheckpointer)
            and (last or (iteration + 1) % hook.period == 0)
            for hook in self._hooks
        )


def _wait_for_the_main_process() -> None:
    """Not with a collective: an evaluation was left, each process at another place of it."""
    store = dist.distributed_c10d._get_default_store()
    if comm.is_main_process():
        store.set("stopped", "")
        return
    with suppress(RuntimeError):  # it has got no signal, or is gone
        store.wait(["stopped"], _SAVING)
