"""Costs as tables: one detector, two detectors side by side, many detectors."""

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from .detector_costs import PARTS, DetectorCosts, Setting
from .module_costs import Cost, extra_work

LIMIT = 0.05
"""The paper: a block adds less than 5 % of computation."""

FORMATS = {"text": "simple", "markdown": "github"}


@dataclass(frozen=True)
class Table:
    """A head and rows of cells, ready to be printed."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def render(self, style: str) -> str:
        """As ``"text"`` or ``"markdown"``."""
        align = ("left", *["right"] * (len(self.head) - 1))
        return tabulate(self.rows, self.head, FORMATS[style], colalign=align, disable_numparse=True)


def caption(costs: DetectorCosts) -> str:
    """Say in a few sentences what was counted, on what, and what was not."""
    inference, training = costs.inference, costs.training
    text = (
        f"{costs.name}: batch 1, float32, {inference.height}x{inference.width}, kernels as chosen "
        f"on {costs.device}. GMAC: 1e9 multiply-adds of an inference, half its FLOPs, with "
        f"{inference.proposals} proposals and {inference.detections} detections; Gop: 1e9 other "
        f"operations. Saved: what autograd keeps for backward in a training step before the "
        f"losses, with {training.proposals} and {training.detections} RoIs. Largest: the largest "
        f"tensor of an inference."
    )
    if costs.blocks:
        text += (
            f"\nThe NL blocks add {costs.extra:.2%} of multiply-adds to the detector without "
            f"them; less than the paper's 5 %: {_verdict(costs.extra)}."
        )
    for operator, times in costs.unknown.items():
        text += f"\nNot counted: {operator}, {times} times."
    return text


def parts_table(costs: DetectorCosts) -> Table:
    """A row for each part, for the total, and for the NL blocks within it."""
    rows = {**costs.parts, "total": costs.total}
    if costs.blocks:
        rows[f"of it {len(costs.blocks)} NL block(s)"] = costs.all_blocks
    cells = [
        (
            *(name, _mega(cost.parameters), _giga(cost.multiply_adds)),
            *(_giga(cost.other_operations), _mebi(cost.saved_bytes), _mebi(cost.largest_bytes)),
        )
        for name, cost in rows.items()
    ]
    return Table(("part", "M parameters", "GMAC", "Gop", "saved MiB", "largest MiB"), cells)


def difference_table(costs: DetectorCosts, baseline: DetectorCosts) -> Table:
    """Each part beside the same part of another detector, and the differences."""
    columns = ("M parameters", "GMAC", "saved MiB")
    head = ("part", *(c for n in columns for c in (n, "baseline", "difference")))
    rows = [
        (part, *_compared(costs.parts.get(part, Cost()), baseline.parts.get(part, Cost())))
        for part in PARTS
        if part in costs.parts or part in baseline.parts
    ]
    return Table(head, [*rows, ("total", *_compared(costs.total, baseline.total))])


def _compared(a: Cost, b: Cost) -> tuple[str, ...]:
    cells: list[str] = []
    for show, x, y in (
        (_mega, a.parameters, b.parameters),
        (_giga, a.multiply_adds, b.multiply_adds),
        (_mebi, a.saved_bytes, b.saved_bytes),
    ):
        share = f" ({(x - y) / y:+.1%})" if y and x != y else ""
        cells += [show(x), show(y), f"{'+' * (x >= y)}{show(x - y)}{share}"]
    return tuple(cells)


def summary_table(rows: Sequence[tuple[str, Setting, Cost, Cost]]) -> Table:
    """A row for each detector, and whether its NL blocks add less than the paper's 5 %.

    Args:
        rows: name, setting of the inference, cost in total and of the NL blocks.
    """
    head = (
        *("config", "image", "M parameters", "GMAC", "of NL blocks", "they add", "< 5 %"),
        *("saved MiB", "of NL blocks"),
    )
    cells = [
        (
            name,
            f"{setting.height}x{setting.width}",
            _mega(whole.parameters),
            _giga(whole.multiply_adds),
            *_added(whole, blocks),
            _mebi(whole.saved_bytes),
            _mebi(blocks.saved_bytes) if blocks != Cost() else "-",
        )
        for name, setting, whole, blocks in rows
    ]
    return Table(head, cells)


def verdict_table(variants: Sequence[tuple[tuple[str, ...], DetectorCosts]]) -> Table:
    """Whether a block adds less than 5 %, for each combination of choices."""
    head = ("config", "pairwise", "subsample", "GMAC of NL blocks", "they add", "< 5 %")
    return Table(head, [(*choice, *_added(c.total, c.all_blocks)) for choice, c in variants])


def _added(whole: Cost, blocks: Cost) -> tuple[str, str, str]:
    if blocks == Cost():
        return "-", "-", "-"
    extra = extra_work(whole, blocks)
    return _giga(blocks.multiply_adds), f"{extra:.2%}", _verdict(extra)


def _verdict(extra: float) -> str:
    return "yes" if extra < LIMIT else "no"


def _mega(number: int) -> str:
    return f"{number / 1e6:.2f}"


def _giga(number: int) -> str:
    return f"{number / 1e9:.2f}"


def _mebi(number: int) -> str:
    return f"{number / 2**20:.1f}"
