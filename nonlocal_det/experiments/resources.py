"""What each of the runs that go on at the same time may use: GPUs, or a share of the cores."""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from .run import Run

Slot = tuple[str, ...]
"""Values for ``CUDA_VISIBLE_DEVICES``; empty: leave what the process sees."""

TRAIN = (sys.executable, "-m", "nonlocal_det.cli.train")


@dataclass(frozen=True)
class Resources:
    """How runs are started.

    Attributes:
        slots: of `parse_gpus`: one for each run that goes on at a time.
        gpus_per_run: the ``--num-gpus`` of each run.
        threads: of each run, see `threads_per_job`; 0: the run decides.
        train: the training command, without arguments.
    """

    slots: Sequence[Slot] = ((),)
    gpus_per_run: int = 1
    threads: int = 0
    train: Sequence[str] = TRAIN

    def command(self, run: Run) -> list[str]:
        """Return the command that trains a run."""
        several = ["--num-gpus", str(self.gpus_per_run)] if self.gpus_per_run > 1 else []
        return [*self.train, *several, *run.arguments()]

    def variables(self, slot: Slot) -> dict[str, str]:
        """Return the environment variables of a run in a slot, besides those that are set.

        Runs are not pinned to cores: a pinned one could not leave a core that others use.
        """
        gpus = {"CUDA_VISIBLE_DEVICES": ",".join(slot)} if slot else {}
        return gpus | ({"OMP_NUM_THREADS": str(self.threads)} if self.threads else {})

    def shell_line(self, command: Sequence[str], slot: Slot) -> str:
        """Join a command and its environment variables for a user to repeat."""
        words = ["python" if word == sys.executable else word for word in command]
        variables = (f"{key}={value} " for key, value in self.variables(slot).items())
        return "".join(variables) + shlex.join(words)


def parse_gpus(text: str, gpus_per_run: int, available: int) -> list[Slot]:
    """Split the GPUs into groups, one for each run that can go on at a time.

    Numbers count within ``CUDA_VISIBLE_DEVICES`` where a scheduler has set it.

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
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise ValueError(f"--gpus {text!r}; expected numbers and ascending ranges, as 0-3,5")
        numbers += range(first, last + 1)
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"--gpus {text!r} names a GPU twice")
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
    visible = [n.strip() for n in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if n]
    names = [visible[number] if visible else str(number) for number in numbers]
    return [tuple(names[k : k + gpus_per_run]) for k in range(0, len(names), gpus_per_run)]


def threads_per_job(jobs: int | None, gpus: str, cores: int) -> int:
    """Divide the cores among the runs that share them; 0: each run decides.

    Args:
        jobs: runs at a time; None: one, with all cores.
        gpus: of ``--gpus``, which also says how many go on at a time.
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
