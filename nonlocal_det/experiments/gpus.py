"""What each of the runs that go on at the same time may use: GPUs, or a share of the cores."""

import os
import re

Slot = tuple[str, ...]
"""Values for ``CUDA_VISIBLE_DEVICES``; empty: leave what the process sees."""


def parse_gpus(text: str, gpus_per_run: int, available: int) -> list[Slot]:
    """Groups of GPUs, one for each run that can go on at a time.

    Args:
        text: "0-3", "0,2,5" or a mix; "" is one run at a time on what is visible.
        gpus_per_run: GPUs (on the CPU: processes) of each run.
        available: the number of GPUs that torch sees.

    Raises:
        ValueError: not such a list, a GPU that is not there or twice, or a number of them that
            ``gpus_per_run`` does not divide.

    Example:
        >>> parse_gpus("0-3", gpus_per_run=2, available=4)
        [('0', '1'), ('2', '3')]
    """
    if gpus_per_run < 1:
        raise ValueError(f"--gpus-per-run {gpus_per_run}; expected at least 1")
    if not text:
        if 0 < available < gpus_per_run:
            raise ValueError(f"--gpus-per-run {gpus_per_run}, but there are {available} GPUs")
        return [()]
    numbers = _numbers(text)
    if max(numbers) >= available:
        raise ValueError(
            f"--gpus {text!r}: there is no GPU {max(numbers)}, torch sees {available}; leave "
            "--gpus out to train on the CPU"
        )
    if len(numbers) % gpus_per_run:
        raise ValueError(
            f"--gpus {text!r} are {len(numbers)}, which --gpus-per-run {gpus_per_run} does not "
            "divide; change one of them"
        )
    seen = _visible() or [str(number) for number in range(available)]
    names = [seen[number] for number in numbers]
    return [
        tuple(names[first : first + gpus_per_run]) for first in range(0, len(names), gpus_per_run)
    ]


def parse_jobs(jobs: int | None, gpus: str, cores: int) -> int:
    """The threads of each run, so that ``jobs`` of them share the cores; 0: as each run finds best.

    Args:
        jobs: runs at a time; None: one, with all cores.
        gpus: of ``--gpus``, which says itself how many go on at a time.
        cores: that this process may use.

    Raises:
        ValueError: fewer than 1 or more than the cores, or together with GPUs.
    """
    if jobs is None:
        return 0
    if gpus:
        raise ValueError(
            f"--jobs {jobs} with --gpus {gpus!r}, which says how many runs go on at a time; leave "
            "one of them out"
        )
    if not 1 <= jobs <= cores:
        raise ValueError(
            f"--jobs {jobs}: there are {cores} cores, and a run needs one; give 1 to {cores}"
        )
    return cores // jobs


def usable_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _numbers(text: str) -> list[int]:
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if not match:
            raise ValueError(f"--gpus {text!r}; expected numbers and ranges, as 0-3 or 0,2")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError(
                f"--gpus {text!r}: {part.strip()} goes backwards; write {last}-{first}"
            )
        numbers += range(first, last + 1)
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"--gpus {text!r} names a GPU twice")
    return numbers


def _visible() -> list[str]:
    """A scheduler's share of the machine: GPU k is the k-th that it lets us see."""
    return [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
