"""Time and memory of one workload in a fresh process; medians of two workloads measured in turn.

A fresh process for each, because a peak of memory depends on what the allocator held before it. In
turn, because a shared machine changes its speed from minute to minute.
"""

import ctypes
import json
import math
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch.utils.benchmark import Timer

from nonlocal_det.experiments.markdown import markdown_table, number

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")

Row = dict[str, Any]
Case = TypeVar("Case")


class Result(NamedTuple):
    """What one process measured: seconds of a pass (a median), peak MiB of the first pass."""

    seconds: float
    mebibytes: float


def measure(run: Callable[[], object], device: torch.device, seconds: float) -> Result:
    """Measure in this process: the memory of a first run, then the time of the following ones.

    Args:
        run: the workload.
        device: where its tensors are.
        seconds: the least time to spend on timing.
    """
    _return_freed_memory(at_once=True)
    peak = PeakMemory(device)
    run()
    mebibytes = peak.mebibytes()
    _return_freed_memory(at_once=False)
    timer = Timer("run()", globals={"run": run}, num_threads=torch.get_num_threads())
    return Result(timer.blocked_autorange(min_run_time=seconds).median, mebibytes)


def in_fresh_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function of a module in a new Python process.

    Raises:
        Exception: as `function` raises it.
        BrokenProcessPool: the process was killed, as when memory runs out.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def compare(
    function: Callable[[Case, float], Result], ours: Case, peer: Case, rounds: int, seconds: float
) -> Row:
    """Measure two cases in turn, each time in a fresh process, for so many rounds.

    Returns:
        The medians over the rounds: ``seconds``, ``mebibytes``, ``peer_seconds``,
        ``peer_mebibytes``, and the ratios ours / peer ``time`` and ``memory``.
    """
    pairs = [
        (in_fresh_process(function, ours, seconds), in_fresh_process(function, peer, seconds))
        for _ in range(rounds)
    ]
    return {
        "seconds": statistics.median(a.seconds for a, _ in pairs),
        "mebibytes": statistics.median(a.mebibytes for a, _ in pairs),
        "peer_seconds": statistics.median(b.seconds for _, b in pairs),
        "peer_mebibytes": statistics.median(b.mebibytes for _, b in pairs),
        "time": statistics.median(a.seconds / b.seconds for a, b in pairs),
        "memory": statistics.median(a.mebibytes / b.mebibytes for a, b in pairs),
    }


def comparison_table(rows: Sequence[Row], title: str) -> str:
    """The rows of `compare`, with ``name`` and ``against``, as markdown."""
    forms = {"seconds": ".2f", "mebibytes": ".0f", "peer_seconds": ".2f", "peer_mebibytes": ".0f"}
    forms |= {"time": ".3g", "memory": ".3g"}
    cells = [
        [row["name"], row["against"], *(number(row[key], form) for key, form in forms.items())]
        for row in rows
    ]
    head = [title, "against", "s", "MiB", "peer s", "peer MiB", "time", "memory"]
    return markdown_table(head, cells, left=2)


def publish(rows: Sequence[Mapping[str, Any]], table: str, where: str, path: Path | None) -> None:
    """Print a table under the hardware it was measured on, and write both as json."""
    print(where, table, sep="\n")
    if path:
        path.write_text(json.dumps({"hardware": where, "rows": list(rows)}, indent=1) + "\n")


class PeakMemory:
    """Peak memory above what is held now, in MiB: of the process, or allocated by torch on CUDA.

    nan on a CPU elsewhere than on Linux.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
            self.before: float = torch.cuda.memory_allocated(device)
        elif CLEAR.is_file():
            CLEAR.write_text("5")  # resets the peak of the resident memory
            self.before = _status("VmRSS")
        else:  # macOS, Windows: no peak that can be reset
            self.before = math.nan

    def mebibytes(self) -> float:
        """The peak since this object was made, less what was held then."""
        if self.device.type == "cuda":
            return (torch.cuda.max_memory_allocated(self.device) - self.before) / 2**20
        return math.nan if math.isnan(self.before) else (_status("VmHWM") - self.before) / 2**20


def _status(key: str) -> int:
    """A line of the process's status, in bytes."""
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith(key + ":")]
    return int(line.split()[1]) * 1024


def _return_freed_memory(at_once: bool) -> None:
    """Make the C library return freed memory to the system at once, or keep it for reuse.

    At once, a peak does not depend on what was freed before. Not at once is what glibc arrives at
    in a long run (its limits grow from 128 KiB to 32 MiB), so that is what is timed.
    """
    if os.name == "nt":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc
        libc.mallopt(_MMAP_THRESHOLD, 2**17 if at_once else 2**25)
        libc.mallopt(_TRIM_THRESHOLD, 2**17 if at_once else 2**26)
