"""What ``tools/reproduce.py`` does with a plan: train it, report on it, or describe it."""

from collections.abc import Sequence
from typing import Literal

import torch

from nonlocal_det.training.process_group import usable_cores

from .datasets import prepare_data
from .estimate import describe
from .learning_rates import write_grid_report
from .mixing import find_mixed
from .plan import Plan
from .report import write_report
from .resources import TRAIN, Resources, parse_gpus, threads_per_job
from .runner import Runner, say

_MANY = 1024  # GPUs: a dry run may plan for another machine
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
    threads = threads_per_job(jobs, gpus, usable_cores())
    available = _MANY if mode == "dry-run" else torch.cuda.device_count()
    slots = parse_gpus(gpus, gpus_per_run, available) * (jobs or 1)
    resources = Resources(slots, gpus_per_run, threads, train)
    if mode == "dry-run":
        say(describe(plan, resources))
        return 0
    training = mode == "train"
    for line in prepare_data(plan) if training else ():
        say(line)
    mixed = find_mixed(plan, training=training)
    if mixed and not force:
        raise ValueError(
            "these cannot stand in one table: " + "; ".join(mixed) + ". Choose another --output, "
            "go back to that commit, config or data, or mix them with --force, which the report "
            "will say"
        )
    for line in mixed:
        say(f"mixed: {line}")
    write = write_grid_report if plan.grid else write_report
    status = Runner(plan, resources, after_each=lambda: write(plan)).run() if training else 0
    say(write(plan))
    names = "learning_rates.md" if plan.grid else "results.json and results.md"
    say(f"written: {plan.output}/{names}")
    return status
