"""The comparisons that README.md shows: which, against whom, and as a table with its hardware."""

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from .benchmark import Case, compare, measure_apart

RES4, RES3 = Case(height=50, width=84), Case(height=100, width=168)  # of an image of 800x1344


@dataclass(frozen=True)
class Pair:
    """Our block against a peer of equal settings."""

    name: str
    ours: Case
    peer: Case


SUITE = (
    Pair(
        "concatenation 25x42",
        Case(pairwise="concatenation"),
        Case("repeat_concatenate", "concatenation"),
    ),
    Pair(
        "dot_product 50x84",
        replace(RES4, pairwise="dot_product"),
        replace(RES4, implementation="mmcv", pairwise="dot_product"),
    ),
    Pair(
        "embedded_gaussian 50x84 pooled",
        replace(RES4, subsample="after"),
        replace(RES4, implementation="mmcv", subsample="after"),
    ),
    Pair(
        "embedded_gaussian 50x84 BN",
        replace(RES4, norm="BN"),
        replace(RES4, implementation="timm", norm="BN"),
    ),
    Pair(
        "dot_product 100x168",
        replace(RES3, pairwise="dot_product"),
        replace(RES3, implementation="mmcv", pairwise="dot_product"),
    ),
    Pair("embedded_gaussian 100x168", RES3, replace(RES3, implementation="mmcv")),
    # the usual form would need about 67 GiB here: against the dense dot product instead
    Pair(
        "concatenation 50x84",
        replace(RES4, pairwise="concatenation"),
        replace(RES4, pairwise="dot_product", kernel="dense"),
    ),
)

Row = dict[str, str | float]


def run_suite(rounds: int = 3, repeats: int = 5, only: str = "") -> list[Row]:
    """Run the comparisons one after the other, each interleaved.

    Args:
        rounds: how often the two of a pair are measured in turn.
        repeats: passes timed in each process, after a first one that measures the memory.
        only: run the pairs whose name holds this.

    Raises:
        ValueError: no pair has such a name, a count below 1, or a peer of another function.
        RuntimeError: a measurement failed.
    """
    chosen = [pair for pair in SUITE if only in pair.name]
    if not chosen:
        raise ValueError(f"--only {only!r}: no row has it; there are {[p.name for p in SUITE]}")
    if rounds < 1 or repeats < 1:
        raise ValueError(f"rounds={rounds}, repeats={repeats}; expected at least 1 of each")
    rows: list[Row] = []
    for pair in chosen:
        rows.append({"name": pair.name, "against": _against(pair), **_run(pair, rounds, repeats)})
        print(f"measured {pair.name}", flush=True)
    return rows


def _against(pair: Pair) -> str:
    same = pair.peer.implementation == "ours"
    return f"{pair.peer.pairwise}, dense" if same else pair.peer.implementation


def _run(pair: Pair, rounds: int, repeats: int) -> dict[str, float]:
    if pair.peer.pairwise == pair.ours.pairwise:
        return compare(pair.ours, pair.peer, rounds, repeats)
    ours, peer = measure_apart(pair.ours, repeats), measure_apart(pair.peer, repeats)
    return {
        "seconds": ours.seconds,
        "mebibytes": ours.mebibytes,
        "peer_seconds": peer.seconds,
        "peer_mebibytes": peer.mebibytes,
        "time": ours.seconds / peer.seconds,
        "memory": ours.mebibytes / peer.mebibytes,
    }


def hardware() -> str:
    """Processor, torch and peers in a line, to stand beside the numbers."""
    names = ("torch", "mmcv-lite", "timm")
    return f"{_processor()}, 2 threads, " + ", ".join(f"{name} {_version(name)}" for name in names)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def table(rows: Sequence[Row]) -> str:
    """The rows as markdown."""
    head = "| C=1024, forward + backward | against | s | MiB | peer s | peer MiB | time | memory |"
    lines = [head, "|---|---|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        lines.append(
            f"| {row['name']} | {row['against']} | {row['seconds']:.2f} | {row['mebibytes']:.0f} "
            f"| {row['peer_seconds']:.2f} | {row['peer_mebibytes']:.0f} "
            f"| {row['time']:.3g} | {row['memory']:.3g} |"
        )
    return "\n".join(lines)


def write_json(rows: Sequence[Row], path: Path) -> None:
    """The rows with what they were measured on."""
    content = {"hardware": hardware(), "torch": torch.__version__, "rows": list(rows)}
    path.write_text(json.dumps(content, indent=1) + "\n")
