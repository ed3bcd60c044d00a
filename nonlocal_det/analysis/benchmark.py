"""Seconds and peak memory of one block, each measurement in a process of its own.

Interleaved with what it is compared to, because a shared machine changes its speed from minute to
minute.
"""

import contextlib
import statistics
import time
from dataclasses import asdict, dataclass, replace

import torch

from .apart import PeakMemory, answer, give_memory_back, run_apart, wait_for
from .peers import build, check_equal

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
"""The half-precision ones are measured under autocast, as they train."""


@dataclass(frozen=True)
class Case:
    """One thing to measure: a whole block.

    Args:
        implementation: a name of `IMPLEMENTATIONS`.
        pairwise, kernel, subsample, norm: as `NonLocalBlock` has them; ``kernel`` is ours alone.
        channels, height, width: of the map.
        backward: measure forward and backward, else forward alone without gradients.
        threads: of torch.
        dtype: a name of `DTYPES`.
        device: where it runs, as ``cpu`` or ``cuda``.
        batch: images, or regions of a head.
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
    dtype: str = "float32"
    device: str = "cpu"
    batch: int = 1


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
    give_memory_back(at_once=True)
    device = torch.device(case.device)
    block = build(case).to(device)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    if case.dtype == "float64":
        block.double()
    _run(block, _features(case, 4, 4), case)  # loads what is loaded once
    x = _features(case, case.height, case.width)
    memory = PeakMemory(device)
    _run(block, x, case)
    mebibytes = memory.mebibytes()
    give_memory_back(at_once=False)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        _run(block, x, case)
        seconds.append(time.perf_counter() - start)
    return Result(statistics.median(seconds), mebibytes)


def _features(case: Case, height: int, width: int) -> torch.Tensor:
    dtype = torch.float64 if case.dtype == "float64" else torch.float32
    return torch.rand(case.batch, case.channels, height, width, dtype=dtype, device=case.device)


def _run(block: torch.nn.Module, x: torch.Tensor, case: Case) -> None:
    dtype = DTYPES[case.dtype]
    half = dtype.itemsize == 2
    context = torch.autocast(x.device.type, dtype) if half else contextlib.nullcontext()
    block.zero_grad(set_to_none=True)
    with context, torch.set_grad_enabled(case.backward):
        y = block(x.requires_grad_(case.backward))
    if case.backward:
        y.sum().backward()
    wait_for(x.device)


def measure_apart(case: Case, repeats: int = 5) -> Result:
    """Measure a case in a fresh process.

    Raises:
        RuntimeError: that process failed, out of memory for instance; with the end of its output.
    """
    return Result(**run_apart(__name__, asdict(case), repeats))


def compare(ours: Case, peer: Case, rounds: int = 3, repeats: int = 5) -> dict[str, float]:
    """Our block against a peer of equal settings, in turn: medians of each and of the ratios.

    Returns:
        ``seconds``, ``mebibytes``, ``peer_seconds``, ``peer_mebibytes`` and the ratios ours / peer
        ``time`` and ``memory``.

    Raises:
        ValueError: the two are not the same function.
    """
    if ours.pairwise == peer.pairwise:  # a row may set one function beside another, and says so
        check_equal(_small(ours), _small(peer))
    pairs = [(measure_apart(ours, repeats), measure_apart(peer, repeats)) for _ in range(rounds)]
    return medians(pairs)


def _small(case: Case) -> Case:
    return replace(case, channels=32, dtype="float32", device="cpu")


def medians(pairs: list[tuple[Result, Result]]) -> dict[str, float]:
    """The medians over the rounds of two things measured in turn, and of their ratios."""
    return {
        "seconds": statistics.median(a.seconds for a, _ in pairs),
        "mebibytes": statistics.median(a.mebibytes for a, _ in pairs),
        "peer_seconds": statistics.median(b.seconds for _, b in pairs),
        "peer_mebibytes": statistics.median(b.mebibytes for _, b in pairs),
        "time": statistics.median(a.seconds / b.seconds for a, b in pairs),
        "memory": statistics.median(a.mebibytes / b.mebibytes for a, b in pairs),
    }


def main(case: dict[str, str | int | bool], repeats: int) -> dict[str, float]:
    """What the fresh process does."""
    return asdict(measure(Case(**case), repeats))  # type: ignore[arg-type]


if __name__ == "__main__":
    answer(main)
