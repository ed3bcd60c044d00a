"""The comparisons that README.md shows: which, against whom, and as a table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .benchmark import Case, compare

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


def run_suite(rounds: int = 3, repeats: int = 5, only: str = "", device: str = "cpu") -> list[Row]:
    """Run the comparisons one after the other, each interleaved.

    Args:
        rounds: how often the two of a pair are measured in turn.
        repeats: passes timed in each process, after a first one that measures the memory.
        only: run the pairs whose name holds this.
        device: where, as ``cpu`` or ``cuda``.

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
        ours, peer = replace(pair.ours, device=device), replace(pair.peer, device=device)
        figures = compare(ours, peer, rounds, repeats)
        rows.append({"name": pair.name, "against": _against(pair), **figures})
        print(f"measured {pair.name}", flush=True)
    return rows


def _against(pair: Pair) -> str:
    same = pair.peer.implementation == "ours"
    return f"{pair.peer.pairwise}, dense" if same else pair.peer.implementation


def table(rows: Sequence[Row], title: str = "C=1024, forward + backward") -> str:
    """The rows as markdown, under a title; ``time`` and ``memory`` are the ratios to the peer."""
    head = f"| {title} | against | s | MiB | peer s | peer MiB | time | memory |"
    lines = [head, "|---|---|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        lines.append(
            f"| {row['name']} | {row['against']} | {row['seconds']:.2f} | {row['mebibytes']:.0f} "
            f"| {row['peer_seconds']:.2f} | {row['peer_mebibytes']:.0f} "
            f"| {row['time']:.3g} | {row['memory']:.3g} |"
        )
    return "\n".join(lines)
