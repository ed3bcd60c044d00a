"""Seconds and peak memory of one block, each measurement in a process of its own.

A process of its own, because a peak of memory leaves its traces in the allocator; interleaved with
what it is compared to, because a shared machine changes its speed from minute to minute.
"""

import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from .peers import build, check_equal

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Case:
    """One thing to measure: a whole block, batch 1.

    Args:
        implementation: a name of `IMPLEMENTATIONS`.
        pairwise, kernel, subsample, norm: as `NonLocalBlock` has them; ``kernel`` is ours alone.
        channels, height, width: of the map.
        backward: measure forward and backward, else forward alone without gradients.
        threads: of torch.
    """

    implementation: str = "ours"
    pairwise: str = "embedded_gaussian"
    kernel: str = "auto"
    channels: int = 1024
    height: int = 25
    width: int = 42
    subsample: str = "none"
    norm: str = ""
    backward: bool = True
    threads: int = 2


@dataclass(frozen=True)
class Result:
    """Medians of one case.

    Args:
        seconds: of one pass.
        mebibytes: peak memory of the first pass above what the process held before it.
    """

    seconds: float
    mebibytes: float


def measure(case: Case, repeats: int = 5) -> Result:
    """Measure a case in this process: the memory first, then the time after that warm-up."""
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    block = build(case)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    _run(block, torch.rand(1, case.channels, 4, 4), case)  # loads what is loaded once
    x = torch.rand(1, case.channels, case.height, case.width)
    before = _reset_peak()
    _run(block, x, case)
    mebibytes = (_peak() - before) / 1024
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        _run(block, x, case)
        seconds.append(time.perf_counter() - start)
    return Result(statistics.median(seconds), mebibytes)


def _run(block: torch.nn.Module, x: torch.Tensor, case: Case) -> None:
    if not case.backward:
        with torch.no_grad():
            block(x)
        return
    block.zero_grad(set_to_none=True)
    block(x.requires_grad_()).sum().backward()


def _reset_peak() -> int:
    """Start a new peak; the memory held now, in KiB."""
    CLEAR.write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(key: str) -> int:
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith(key + ":")]
    return int(line.split()[1])


def measure_apart(case: Case, repeats: int = 5) -> Result:
    """Measure a case in a fresh process.

    Raises:
        RuntimeError: that process failed, out of memory for instance; with the end of its output.
    """
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        __name__,
        json.dumps(asdict(case)),
        str(repeats),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{case} ended with {done.returncode}: {done.stderr[-500:]}")
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def compare(ours: Case, peer: Case, rounds: int = 3, repeats: int = 5) -> dict[str, float]:
    """Our block against a peer of equal settings, in turn: medians of each and of the ratios.

    Returns:
        ``seconds``, ``mebibytes``, ``peer_seconds``, ``peer_mebibytes`` and the ratios ours / peer
        ``time`` and ``memory``.

    Raises:
        ValueError: the two are not the same function.
    """
    check_equal(replace(ours, channels=32), replace(peer, channels=32))
    pairs = [(measure_apart(ours, repeats), measure_apart(peer, repeats)) for _ in range(rounds)]
    return {
        "seconds": statistics.median(a.seconds for a, _ in pairs),
        "mebibytes": statistics.median(a.mebibytes for a, _ in pairs),
        "peer_seconds": statistics.median(b.seconds for _, b in pairs),
        "peer_mebibytes": statistics.median(b.mebibytes for _, b in pairs),
        "time": statistics.median(a.seconds / b.seconds for a, b in pairs),
        "memory": statistics.median(a.mebibytes / b.mebibytes for a, b in pairs),
    }


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Case(**json.loads(sys.argv[1])), int(sys.argv[2])))))
