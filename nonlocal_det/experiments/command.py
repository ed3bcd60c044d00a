"""What ``tools/reproduce.py`` does with a plan: train it, only report, or say what it would do."""

from collections.abc import Sequence
from typing import Literal

import torch

from .choose import write_choice
from .datasets import prepare_data
from .estimate import describe
from .gpus import parse_gpus, parse_jobs, usable_cores
from .origin import find_mixed, refuse_mixed
from .plan import Plan
from .report import write_report
from .runner import TRAIN, Runner

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
    """Carry out a plan and write its report after each run; say all of it on the terminal.

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
        ValueError: bad GPUs or jobs, or results that cannot stand in one table.
        FileNotFoundError: a data set is not there.
    """
    # a dry run may plan for another machine
    available = _MANY if mode == "dry-run" else torch.cuda.device_count()
    threads = parse_jobs(jobs, gpus, usable_cores())
    runner = Runner(
        plan,
        parse_gpus(gpus, gpus_per_run, available) * (jobs or 1),
        gpus_per_run=gpus_per_run,
        threads=threads,
        train=train,
        say=_say,
        after_each=lambda: _write(plan),
    )
    if mode == "dry-run":
        _say(describe(plan, runner))
        return 0
    if mode == "train":
        for line in prepare_data(plan):
            _say(line)
    if force:
        for line in find_mixed(plan, training=mode == "train"):
            _say(f"mixed: {line}")
    else:
        refuse_mixed(plan, training=mode == "train")
    status = runner.run() if mode == "train" else 0
    _say(_write(plan))
    if not plan.grid:
        _say(f"written: {plan.output / 'results.json'} and results.md")
    return status


def _write(plan: Plan) -> str:
    return write_choice(plan) if plan.grid else write_report(plan)


def _say(line: str) -> None:
    print(line, flush=True)
