"""What follows the best value of a metric over restarts: its checkpoint, and an early stop."""

import difflib
import logging
import math
from pathlib import Path
from typing import Any

from detectron2.engine import HookBase
from detectron2.utils import comm

from nonlocal_det.checkpoint import BEST, CheckpointError, SafeCheckpointer, read_checkpoint

logger = logging.getLogger("nonlocal_det")


class EarlyStopped(SystemExit):
    """Leaves the loop of a training that ends as if it had reached its last iteration."""


class BestMetric(HookBase):
    """Compares a metric after each evaluation with the best value before.

    Runs after Detectron2's `EvalHook`, at the same iterations.

    Args:
        option: of the command line, for messages.
        metric: as the log names it, ``bbox/AP``; ``total_loss:min`` if less is better.
        period: ``TEST.EVAL_PERIOD``; 0: after the training only.

    Attributes:
        best: the best value until now; None before the first.

    Raises:
        ValueError: the word after ``:`` is neither ``max`` nor ``min``.
    """

    def __init__(self, option: str, metric: str, period: int) -> None:
        self.metric, _, mode = metric.partition(":")
        if mode not in ("", "max", "min") or not self.metric:
            raise ValueError(
                f"{option} {metric}: expected METRIC, METRIC:max or METRIC:min, as bbox/AP"
            )
        self.option = option
        self.period = period
        self.best: float | None = None
        self._sign = -1.0 if mode == "min" else 1.0

    def is_evaluated(self) -> bool:
        """Tell whether this step ends with an evaluation that is not the last."""
        done = self.trainer.iter + 1
        return self.period > 0 and done % self.period == 0 and done != self.trainer.max_iter

    def improves(self) -> bool:
        """Note the last value, if there is one that is finite; tell whether it is the best."""
        latest = self.trainer.storage.latest()
        if self.metric not in latest:
            near = difflib.get_close_matches(self.metric, latest, n=5, cutoff=0.3)
            logger.warning(
                f"{self.option} {self.metric}: there is no such metric, so it has no effect; near "
                f"it are {', '.join(near) or 'none'}"
            )
            return False
        value, iteration = latest[self.metric]
        if not math.isfinite(value):
            logger.warning(f"{self.option}: {self.metric} is {value} at iteration {iteration}")
            return False
        if self.best is not None and self._sign * value <= self._sign * self.best:
            return False
        self.best = float(value)
        return True


class KeepBest(BestMetric):
    """Saves ``model_best.pth`` after an evaluation that is better than all before.

    In the main process only. The best value is in the file itself, so a resumed training compares
    with it.

    Args:
        checkpointer: saves.
        metric: as `BestMetric`.
        period: as `BestMetric`.
    """

    def __init__(self, checkpointer: SafeCheckpointer, metric: str, period: int) -> None:
        super().__init__("--keep-best", metric, period)
        self.checkpointer = checkpointer

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
        if self.is_evaluated():
            self._compare()

    def after_train(self) -> None:
        """Compare the last evaluation, unless the training has failed."""
        if self.trainer.iter + 1 >= self.trainer.max_iter:
            self._compare()

    def _compare(self) -> None:
        if self.improves():
            value, iteration = self.trainer.storage.latest()[self.metric]
            best = {"metric": self.metric, "value": self.best}
            # as numbered checkpoints say it: the last iteration that is done
            self.checkpointer.save(BEST, best=best, iteration=int(iteration))
            logger.info(f"{BEST}.pth: {self.metric} is {value:.4f} at iteration {iteration}")


class EarlyStop(BestMetric):
    """Ends a training whose metric has not been better for so many evaluations in a row.

    In all processes; the main one, which has the metrics, decides. The count is saved with each
    checkpoint. Last of the hooks, so that the others have seen the iteration.

    Args:
        metric: as `BestMetric`.
        patience: evaluations in a row that are not better.
        period: as `BestMetric`.

    Raises:
        ValueError: ``patience`` is below 1, or there is no evaluation before the last iteration.
    """

    def __init__(self, metric: str, patience: int, period: int) -> None:
        super().__init__("--early-stop", metric, period)
        if patience < 1:
            raise ValueError(f"--patience {patience}: expected 1 or more evaluations")
        if period < 1:
            raise ValueError(
                f"--early-stop {metric}: TEST.EVAL_PERIOD={period} evaluates at the end only; set "
                "TEST.EVAL_PERIOD to the iterations between two evaluations"
            )
        self.patience = patience
        self._worse = 0
        self._counted = -1  # the last iteration whose evaluation is counted

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, and the evaluations since it."""
        return {
            "metric": self.metric,
            "best": self.best,
            "worse": self._worse,
            "counted": self._counted,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue the count, if it is of the same metric."""
        if state["metric"] == self.metric:
            self.best, self._worse = state["best"], state["worse"]
            self._counted = state["counted"]

    def after_step(self) -> None:
        """Count the evaluation, if there was one that is not the last.

        Raises:
            EarlyStopped: in all processes.
        """
        if not self.is_evaluated():
            return
        # a resumed training repeats the evaluation of its checkpoint, which may be counted
        if comm.is_main_process() and self.trainer.iter > self._counted:
            self._counted = self.trainer.iter
            self._worse = 0 if self.improves() else self._worse + 1
        if comm.all_gather(self._worse)[0] >= self.patience:
            raise EarlyStopped(
                f"--early-stop: {self.metric} has not been better than {self.best} for "
                f"{self._worse} evaluations"
            )
