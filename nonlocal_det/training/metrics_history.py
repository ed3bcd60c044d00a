"""Keep what a training has logged over a kill: smoothed losses, one row an iteration."""

import json
from pathlib import Path
from typing import Any

from detectron2.engine import TrainerBase, hooks
from detectron2.utils.events import EventStorage

from .best_metric import BestMetric

WINDOW = 20
"""Iterations over which Detectron2's writers smooth."""
_TIMES = {"time", "data_time", "rank_data_time", "eta_seconds"}  # of another machine, perhaps
_REPEATED = (hooks.EvalHook, BestMetric, hooks.BestCheckpointer, hooks.PeriodicWriter)

Scalars = dict[str, dict[str, Any]]


def collect_scalars(storage: EventStorage | None) -> Scalars:
    """Collect the last values of every scalar but times.

    Args:
        storage: of the training; None before it begins.

    Returns:
        Each name's ``values``, pairs of value and iteration, and whether it is ``smoothed``.
    """
    if storage is None:
        return {}
    hints = storage.smoothing_hints()
    return {
        name: {
            "values": [[float(value), int(at)] for value, at in history.values()[-WINDOW:]],
            "smoothed": bool(hints[name]),
        }
        for name, history in storage.histories().items()
        if name not in _TIMES
    }


def restore_scalars(storage: EventStorage, scalars: Scalars, written: int) -> None:
    """Log again what no writer has written.

    Args:
        storage: of the training that begins.
        scalars: of `collect_scalars`.
        written: the last iteration that has a row in ``metrics.json``.
    """
    now = storage.iter
    for name, scalar in scalars.items():
        if scalar["values"][-1][1] <= written:
            continue
        for value, at in scalar["values"]:
            storage.iter = at
            storage.put_scalar(name, value, smoothing_hint=scalar["smoothed"])
    storage.iter = now


def trim_metrics(path: Path, iteration: int) -> int:
    """Take out of ``metrics.json`` the rows that are logged again, and a halved one.

    An evaluation between two rows of losses is written after the later, so they are in no order.

    Args:
        path: of the file; may be missing.
        iteration: the first that is logged again.

    Returns:
        The last iteration of the rows that stay; -1: there is none.
    """
    if not path.is_file():
        return -1
    with open(path, "r+b") as file:  # the writers have it open: not another file of that name
        rows = {line: _iteration(line) for line in file}
        kept = {line: at for line, at in rows.items() if 0 <= at < iteration}
        file.seek(0)
        file.writelines(kept)
        file.truncate()
    return max(kept.values(), default=-1)


def _iteration(line: bytes) -> int:
    """Read the iteration of a row; -1: the row is not whole."""
    try:
        return int(json.loads(line)["iteration"]) if line.endswith(b"\n") else -1
    except (ValueError, KeyError):
        return -1


def repeat_last_step(trainer: TrainerBase) -> None:
    """Evaluate and write what a kill after the checkpoint may have left undone.

    Detectron2 saves before it evaluates, so a checkpoint does not say whether it has.

    Args:
        trainer: about to begin.
    """
    start = trainer.start_iter
    if start == 0:
        return
    trainer.iter = trainer.storage.iter = start - 1
    for hook in trainer._hooks:
        if isinstance(hook, _REPEATED):
            hook.after_step()
    trainer.iter = trainer.storage.iter = start
