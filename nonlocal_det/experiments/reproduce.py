"""What ``tools/reproduce.py`` does with a plan: train it, report on it, or describe it."""

from collections.abc import Sequence
from typing import Literal

import torch

from nonlocal_det.training.process_group import usable_cores

from .datasets import prepare_data
from .estimate import describe
from .learning_rates import write_grid_report
from .mixing import find_mixed, refuse_mixed
from .plan import Plan
from .report import write_report
from .resources import TRAIN, Resources, parse_gpus, threads_per_job
from .runner import Runner

_MANY = 1024  # GPUs
Mode = Literal["train", "report", "dry-run"]


def reproduce(
    plan: Plan,
    mode: Mode = "train",
    *,
    gpus: str = "",
    gpus_per_run: int = 1,
    jobs: int | None = None,
    force: bool = False,
    train: Sequence[str] = TRAIN,
) -> int:
    """Carry out a plan and write its report after each run; print all of it.

    Args:
        plan: of `make_plan`.
        mode: "train" what is not finished, "report" on what is, or a "dry-run" that writes nothing.
        gpus: as "0-3"; "" for one run at a time on what is visible.
        gpus_per_run: GPUs (on the CPU: processes) of each run.
        jobs: runs at a time that share the cores of this machine (and the GPU that they see); None
            for one run at a time.
        force: mix results of several commits, configs or data sets; the report says so.
        train: the training command, without arguments.

    Returns:
        The exit status: 0 when every run of the plan has finished (or nothing was to be trained),
        1 when one failed, 128 + n after signal n.

    Raises:
        ValueError: GPUs or jobs that are not there, or results that cannot stand in one table.
        FileNotFoundError: a data set is not there.
    """
    # a dry run may plan for another machine
    available = _MANY if mode == "dry-run" else torch.cuda.device_count()
    threads = threads_per_job(jobs, gpus, usable_cores())
    slots = parse_gpus(gpus, gpus_per_run, available) * (jobs or 1)
    resources = Resources(slots, gpus_per_run, threads, train)
    if mode == "dry-run":
        _print(describe(plan, resources))
        return 0
    training = mode == "train"
    for line in prepare_data(plan) if training else ():
        _print(line)
    if force:
        for line in find_mixed(plan, training=training):
            _print(f"mixed: {line}")
    else:
        refuse_mixed(plan, training=training)
    write = write_grid_report if plan.grid else write_report
    runner = Runner(plan, resources, say=_print, after_each=lambda: write(plan))
    status = runner.run() if training else 0
    _print(write(plan))
    names = "learning_rates.md" if plan.grid else "results.json and results.md"
    _print(f"written: {plan.output}/{names}")
    return status


def _print(line: str) -> None:
    print(line, flush=True)
