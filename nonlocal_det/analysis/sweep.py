"""Every kernel of every function on maps of several sizes and dtypes: what `auto` is judged by."""

import re
import statistics
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from nonlocal_det.layers import KERNELS, PAIRWISE

from .benchmark import DTYPES, Case, Result, measure_apart

Row = dict[str, str | float]


@dataclass(frozen=True)
class Sweep:
    """What to cross; a kernel is measured with the functions that it serves, and `auto` with all.

    Args:
        functions, kernels, dtypes: names.
        maps: sizes as ``"50x84"``, ``"100x14x14"`` for 100 regions; ``"50x84 pooled"`` subsamples
            phi and g.
        passes: ``"forward"`` (without gradients), ``"forward+backward"``.
        channels: C.
        device: as ``cpu`` or ``cuda``.
        rounds: how often all of them are measured in turn; a shared machine needs several.
        repeats: passes timed in each process.
    """

    functions: Sequence[str] = PAIRWISE
    kernels: Sequence[str] = (*KERNELS, "auto")
    dtypes: Sequence[str] = ("float32",)
    maps: Sequence[str] = ("25x42", "50x84 pooled", "50x84")
    passes: Sequence[str] = ("forward", "forward+backward")
    channels: int = 1024
    device: str = "cpu"
    rounds: int = 1
    repeats: int = 5

    def cases(self) -> Iterator[tuple[Row, Case]]:
        """Each combination that exists, with the first cells of its row.

        Raises:
            ValueError: an unknown name or a size that is not one.
        """
        crossed = product(self.functions, self.dtypes, self.maps, self.passes, self.kernels)
        for function, dtype, size, direction, kernel in crossed:
            _known("function", function, PAIRWISE)
            _known("dtype", dtype, DTYPES)
            _known("pass", direction, ("forward", "forward+backward"))
            _known("kernel", kernel, (*KERNELS, "auto"))
            if kernel != "auto" and function not in KERNELS[kernel][1]:
                continue
            batch, height, width, subsample = parse_map(size)
            case = Case(
                pairwise=function,
                kernel=kernel,
                channels=self.channels,
                batch=batch,
                height=height,
                width=width,
                subsample=subsample,
                backward=direction != "forward",
                dtype=dtype,
                device=self.device,
            )
            names = (function, dtype, size, direction, kernel)
            yield (
                dict(zip(("function", "dtype", "map", "pass", "kernel"), names, strict=True)),
                case,
            )


def parse_map(size: str) -> tuple[int, int, int, str]:
    """``"50x84 pooled"`` or ``"100x14x14"`` as batch, height, width and the subsampling.

    Raises:
        ValueError: it is not such a text.
    """
    found = re.fullmatch(r"(?:(\d+)x)?(\d+)x(\d+)( pooled)?", size)
    if not found:
        raise ValueError(f"map {size!r}; expected a size as '50x84', '50x84 pooled', '100x14x14'")
    batch, height, width, pooled = found.groups()
    return int(batch or 1), int(height), int(width), "after" if pooled else "none"


def run_sweep(sweep: Sweep) -> list[Row]:
    """Measure all cases in turn, as many rounds as asked, each in a process of its own.

    Returns:
        A row for each: its names and the medians ``seconds`` and ``mebibytes``; or ``error`` where
        it failed, out of memory for instance.
    """
    if sweep.rounds < 1 or sweep.repeats < 1:
        raise ValueError(f"rounds={sweep.rounds}, repeats={sweep.repeats}; at least 1 of each")
    cases = list(sweep.cases())
    results: list[list[Result]] = [[] for _ in cases]
    errors: dict[int, str] = {}
    for turn in range(sweep.rounds):
        for index, (names, case) in enumerate(cases):
            if index in errors:
                continue
            try:
                results[index].append(measure_apart(case, sweep.repeats))
                said = f"{results[index][-1].seconds:.4f} s"
            except RuntimeError as error:
                errors[index] = said = str(error)
            print(f"round {turn + 1}:", *names.values(), said, flush=True)
    return [
        {**names, "error": errors[index]} if index in errors else {**names, **_medians(found)}
        for index, ((names, _), found) in enumerate(zip(cases, results, strict=True))
    ]


def _medians(found: list[Result]) -> Row:
    return {
        "seconds": statistics.median(result.seconds for result in found),
        "mebibytes": statistics.median(result.mebibytes for result in found),
    }


def sweep_table(rows: Sequence[Row]) -> str:
    """The rows as markdown; ``of best`` is the time over that of the fastest kernel there."""
    lines = ["| function | dtype | map | pass | kernel | s | MiB | of best |"]
    lines.append("|---|---|---|---|---|--:|--:|--:|")
    for row in rows:
        cells = [str(row[key]) for key in ("function", "dtype", "map", "pass", "kernel")]
        if "error" in row:
            cells += ["failed", "-", "-"]
        else:
            share = float(row["seconds"]) / _best(rows, row)
            cells += [f"{row['seconds']:.4f}", f"{row['mebibytes']:.0f}", f"{share:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _best(rows: Sequence[Row], row: Row) -> float:
    keys = ("function", "dtype", "map", "pass")
    same = [r for r in rows if "seconds" in r and all(r[key] == row[key] for key in keys)]
    return min(float(r["seconds"]) for r in same)


def _known(what: str, name: str, names: Collection[str]) -> None:
    if name not in names:
        raise ValueError(f"{what} {name!r}; expected {', '.join(names)}")
