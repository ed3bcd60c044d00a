"""Keeps the checkpoint with the best value of a metric, over restarts too."""

import difflib
import logging
import math
from pathlib import Path

from detectron2.engine import HookBase

from nonlocal_det.checkpoint import BEST, CheckpointError, SafeCheckpointer, read_checkpoint

logger = logging.getLogger("nonlocal_det")


class KeepBest(HookBase):
    """Saves ``model_best.pth`` after an evaluation that is better than all before.

    Runs after Detectron2's `EvalHook`, at the same iterations, in the main process only. The best
    value is in the file itself, so a resumed training compares with it.

    Args:
        checkpointer: saves.
        metric: as the log names it, ``bbox/AP``; ``total_loss:min`` if less is better.
        period: ``TEST.EVAL_PERIOD``; 0: after the training only.

    Raises:
        ValueError: the word after ``:`` is neither ``max`` nor ``min``.
    """

    def __init__(self, checkpointer: SafeCheckpointer, metric: str, period: int) -> None:
        self.checkpointer = checkpointer
        self.metric, _, mode = metric.partition(":")
        if mode not in ("", "max", "min") or not self.metric:
            raise ValueError(
                f"--keep-best {metric}: expected METRIC, METRIC:max or METRIC:min, as bbox/AP"
            )
        self.period = period
        self._sign = -1.0 if mode == "min" else 1.0
        self.best: float | None = None

    def before_train(self) -> None:
        """Read the best value of the training that is resumed."""
        path = Path(self.checkpointer.save_dir) / f"{BEST}.pth"
        if self.trainer.start_iter == 0 or not path.is_file():
            return
        try:
            past = read_checkpoint(path, trust=self.checkpointer.trust).get("best", {})
        except CheckpointError as error:
            logger.warning(f"{error}; the next evaluation's checkpoint replaces it")
            return
        if past.get("metric") == self.metric:
            self.best = past["value"]

    def after_step(self) -> None:
        """Compare, if there was an evaluation that is not the last."""
        done = self.trainer.iter + 1
        if self.period > 0 and done % self.period == 0 and done != self.trainer.max_iter:
            self._compare()

    def after_train(self) -> None:
        """Compare the last evaluation, unless the training has failed."""
        if self.trainer.iter + 1 >= self.trainer.max_iter:
            self._compare()

    def _compare(self) -> None:
        latest = self.trainer.storage.latest()
        if self.metric not in latest:
            near = difflib.get_close_matches(self.metric, latest, n=5, cutoff=0.3)
            logger.warning(
                f"--keep-best {self.metric}: there is no such metric, so nothing is kept; near it "
                f"are {', '.join(near) or 'none'}"
            )
            return
        value, iteration = latest[self.metric]
        if not math.isfinite(value):
            logger.warning(f"--keep-best: {self.metric} is {value} at iteration {iteration}")
        elif self.best is None or self._sign * value > self._sign * self.best:
            self.best = float(value)
            best = {"metric": self.metric, "value": self.best}
            # as numbered checkpoints say it: the last iteration that is done
            self.checkpointer.save(BEST, best=best, iteration=int(iteration))
            logger.info(f"{BEST}.pth: {self.metric} is {value:.4f} at iteration {iteration}")
