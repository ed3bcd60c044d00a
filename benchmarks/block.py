"""Time and memory of one block against its peers (``make bench``), or of every kernel.

python benchmarks/block.py --rounds 3
python benchmarks/block.py --sweep --functions dot_product --maps 50x84 '50x84 pooled'

The peers' rows need them: pip install mmcv-lite timm
"""

import argparse
import contextlib
import re
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from measure import Result, Row, compare, comparison_table, in_fresh_process, measure, publish
from peers import build, check_equal

from nonlocal_det.experiments.markdown import markdown_table
from nonlocal_det.layers import KERNELS, PAIRWISE
from nonlocal_det.training.provenance import hardware

DTYPES = ("float32", "float64", "bfloat16", "float16")
"""The half-precision ones are measured under autocast, as they train."""
PASSES = ("forward", "forward+backward")
KERNEL_NAMES = (*KERNELS, "auto")


@dataclass(frozen=True)
class Case:
    """One block to measure.

    Args:
        implementation: a name of `peers.IMPLEMENTATIONS`.
        pairwise, kernel, subsample, norm: as `NonLocalBlock` has them; ``kernel`` only of ours.
        channels, height, width: of the map.
        backward: measure forward and backward, else only the forward pass without gradients.
        threads: of torch.
        dtype: a name of `DTYPES`.
        device: where it runs, as ``cpu`` or ``cuda``.
        batch: images, or regions of a head.
        regions: of ours, as `BlockOptions` has them.
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
    regions: tuple[int, ...] = ()


RES4, RES3 = Case(height=50, width=84), Case(height=100, width=168)  # of an image of 800x1344

SUITE = {
    "concatenation 25x42": (
        Case(pairwise="concatenation"),
        Case("repeat_concatenate", "concatenation"),
    ),
    "dot_product 50x84": (
        replace(RES4, pairwise="dot_product"),
        replace(RES4, implementation="mmcv", pairwise="dot_product"),
    ),
    "embedded_gaussian 50x84 pooled": (
        replace(RES4, subsample="after"),
        replace(RES4, implementation="mmcv", subsample="after"),
    ),
    "embedded_gaussian 50x84 BN": (
        replace(RES4, norm="BN"),
        replace(RES4, implementation="timm", norm="BN"),
    ),
    "dot_product 100x168": (
        replace(RES3, pairwise="dot_product"),
        replace(RES3, implementation="mmcv", pairwise="dot_product"),
    ),
    "embedded_gaussian 100x168": (RES3, replace(RES3, implementation="mmcv")),
    # the usual form would need about 67 GiB here: against the dense dot product instead
    "concatenation 50x84": (
        replace(RES4, pairwise="concatenation"),
        replace(RES4, pairwise="dot_product", kernel="dense"),
    ),
    # another function, for maps that are too large for all pairs
    "embedded_gaussian 100x168 in 7x12 regions": (replace(RES3, regions=(7, 12)), RES3),
}
"""Our block and its peer by the name of the row, as docs/kernels.md shows them."""


def measure_block(case: Case, seconds: float = 1.0) -> Result:
    """Measure a case in this process, with drawn weights and features."""
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    device = torch.device(case.device)
    block = build(case).to(device)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    if case.dtype == "float64":
        block.double()
    side = max((4, *case.regions))
    small, x = _features(case, side, side), _features(case, case.height, case.width)
    _run(block, small, case)  # loads what is loaded once
    return measure(lambda: _run(block, x, case), device, seconds)


def _features(case: Case, height: int, width: int) -> torch.Tensor:
    dtype = torch.float64 if case.dtype == "float64" else torch.float32
    return torch.rand(case.batch, case.channels, height, width, dtype=dtype, device=case.device)


def _run(block: torch.nn.Module, x: torch.Tensor, case: Case) -> None:
    dtype = getattr(torch, case.dtype)
    half = dtype.itemsize == 2
    context = torch.autocast(x.device.type, dtype) if half else contextlib.nullcontext()
    block.zero_grad(set_to_none=True)
    with context, torch.set_grad_enabled(case.backward):
        y = block(x.requires_grad_(case.backward))
    if case.backward:
        y.sum().backward()


def run_suite(rounds: int, seconds: float, only: str = "", device: str = "cpu") -> list[Row]:
    """Compare our block with each peer of `SUITE` whose row's name contains ``only``.

    Raises:
        ValueError: no row has such a name, or the peer is another function.
    """
    rows = []
    for name, pair in SUITE.items():
        if only not in name:
            continue
        ours, peer = (replace(case, device=device) for case in pair)
        if ours.pairwise == peer.pairwise and not ours.regions:  # else they are two functions
            check_equal(*(replace(case, channels=32, device="cpu") for case in (ours, peer)))
        same = peer.implementation == "ours"
        against = f"{peer.pairwise}, {peer.kernel}" if same else peer.implementation
        figures = compare(measure_block, ours, peer, rounds, seconds)
        rows.append({"name": name, "against": against, **figures})
        print(f"measured {name}", flush=True)
    if not rows:
        raise ValueError(f"--only {only!r}: no row has it; expected a part of {list(SUITE)}")
    return rows


def sweep_cases(args: argparse.Namespace) -> Iterator[tuple[Row, Case]]:
    """Each combination that exists, with the first cells of its row.

    A kernel is measured with the functions that it serves, and ``auto`` with all.
    """
    crossed = product(args.functions, args.dtypes, args.maps, args.passes, args.kernels)
    for function, dtype, size, direction, kernel in crossed:
        if kernel != "auto" and function not in KERNELS[kernel][1]:
            continue
        case = Case(
            **parse_map(size),
            **{"pairwise": function, "kernel": kernel, "dtype": dtype, "device": args.device},
            channels=args.channels,
            backward=direction != "forward",
        )
        cells = {"function": function, "dtype": dtype, "map": size, "pass": direction}
        yield {**cells, "kernel": kernel}, case


def parse_map(size: str) -> dict[str, Any]:
    """Batch, height, width and subsampling of ``"50x84 pooled"`` or ``"100x14x14"``.

    Raises:
        ValueError: it is not such a text.
    """
    match = re.fullmatch(r"(?:(\d+)x)?(\d+)x(\d+)( pooled)?", size)
    if not match:
        raise ValueError(f"map {size!r}; expected a size as '50x84', '50x84 pooled', '100x14x14'")
    batch, height, width, pooled = match.groups()
    sizes = {"batch": int(batch or 1), "height": int(height), "width": int(width)}
    return {**sizes, "subsample": "after" if pooled else "none"}


def run_sweep(cases: Sequence[tuple[Row, Case]], rounds: int, seconds: float) -> list[Row]:
    """Measure all cases in turn, each in a fresh process, as many rounds as asked.

    Returns:
        A row for each: its names and the medians ``seconds`` and ``mebibytes``, or ``error`` where
        it failed, for example out of memory.
    """
    results: list[list[Result]] = [[] for _ in cases]
    errors: dict[int, str] = {}
    for turn in range(rounds):
        for index, (names, case) in enumerate(cases):
            if index in errors:
                continue
            try:
                results[index].append(in_fresh_process(measure_block, case, seconds))
                text = f"{results[index][-1].seconds:.4f} s"
            except (RuntimeError, BrokenProcessPool) as error:
                errors[index] = text = str(error)
            print(f"round {turn + 1}:", *names.values(), text, flush=True)
    rows = []
    for index, ((names, _), measured) in enumerate(zip(cases, results, strict=True)):
        medians = [statistics.median(values) for values in zip(*measured, strict=True)]
        figures = dict(zip(Result._fields, medians, strict=False))
        rows.append({**names, **({"error": errors[index]} if index in errors else figures)})
    return rows


def sweep_table(rows: Sequence[Row]) -> str:
    """The rows as markdown; ``of best`` is the time over that of the fastest kernel there."""
    keys = ("function", "dtype", "map", "pass")
    best: dict[tuple[str, ...], float] = {}
    for row in rows:
        if "seconds" in row:
            group = tuple(row[key] for key in keys)
            best[group] = min(best.get(group, row["seconds"]), row["seconds"])
    lines = []
    for row in rows:
        cells = ["failed", "-", "-"]
        if "error" not in row:
            share = row["seconds"] / best[tuple(row[key] for key in keys)]
            cells = [f"{row['seconds']:.4f}", f"{row['mebibytes']:.0f}", f"{share:.2f}"]
        lines.append([*(row[key] for key in (*keys, "kernel")), *cells])
    return markdown_table([*keys, "kernel", "s", "MiB", "of best"], lines, left=5)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description="Measure the block against its peers.")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=1.0, help="timed at least, each process")
    parser.add_argument("--only", default="", help="run the rows whose name contains this")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    sweep = parser.add_argument_group("every kernel instead of the peers")
    sweep.add_argument("--sweep", action="store_true", help="kernels x functions x maps x dtypes")
    maps = ("25x42", "50x84 pooled", "50x84")
    for name, default, choices in (
        ("functions", PAIRWISE, PAIRWISE),
        ("kernels", KERNEL_NAMES, KERNEL_NAMES),
        ("maps", maps, None),
        ("dtypes", ("float32",), DTYPES),
        ("passes", PASSES, PASSES),
    ):
        sweep.add_argument(f"--{name}", nargs="+", default=default, choices=choices)
    sweep.add_argument("--channels", type=int, default=Case.channels, help="C")
    args = parser.parse_args(argv)
    if args.rounds < 1:
        parser.error(f"--rounds {args.rounds}; expected at least 1")
    try:
        if args.sweep:
            rows = run_sweep(list(sweep_cases(args)), args.rounds, args.seconds)
            table = sweep_table(rows)
        else:
            rows = run_suite(args.rounds, args.seconds, args.only, args.device)
            table = comparison_table(rows, "C=1024, forward + backward")
    except ValueError as error:
        parser.error(str(error))
    where = hardware(args.device, threads=Case.threads, packages=("torch", "mmcv-lite", "timm"))
    publish(rows, table, where, args.json)


if __name__ == "__main__":
    main()
