"""A measurement in a process of its own, and what that process can say of its memory.

A process of its own, because a peak of memory leaves its traces in the allocator.
"""

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def run_apart(module: str, *arguments: Any) -> dict[str, float]:
    """Run ``main(*arguments)`` of a module in a fresh Python; see `answer`.

    Args:
        module: its full name; it ends in ``answer(main)`` where it is the main module.
        arguments: what json can carry.

    Raises:
        RuntimeError: that process failed, out of memory for instance; with the end of its output.
    """
    command = [sys.executable, "-W", "ignore", "-m", module, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arguments} ended with {done.returncode}: {done.stderr[-500:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def answer(main: Callable[..., dict[str, float]]) -> None:
    """In that process: call ``main`` with its arguments, print what it returns as the last line."""
    print(json.dumps(main(*json.loads(sys.argv[1]))))


class PeakMemory:
    """Peak memory above what is held now, in MiB: of the process, or allocated by torch on CUDA.

    Args:
        device: where the measured tensors lie.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
            self.before = torch.cuda.memory_allocated(device)
        else:
            CLEAR.write_text("5")  # the peak starts anew
            self.before = _status("VmRSS")

    def mebibytes(self) -> float:
        """The peak since this object was made, less what was held then."""
        if self.device.type == "cuda":
            return (torch.cuda.max_memory_allocated(self.device) - self.before) / 2**20
        return (_status("VmHWM") - self.before) / 2**20


def give_memory_back(at_once: bool) -> None:
    """Have the C library return freed memory to the system, or keep it for what comes next.

    It learns to keep more and more while a process runs, which is good for speed and makes a peak a
    matter of chance: at once is for measuring memory, not at once is how a long run ends up.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc; its limits are 128 KiB at first and 32 MiB in the end
        libc.mallopt(_MMAP_THRESHOLD, 2**17 if at_once else 2**25)
        libc.mallopt(_TRIM_THRESHOLD, 2**17 if at_once else 2**26)


def _status(key: str) -> int:
    """A line of the process's status, in bytes."""
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith(key + ":")]
    return int(line.split()[1]) * 1024


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
