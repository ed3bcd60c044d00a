"""Cost reports as tables: one detector, two twins beside each other, many detectors."""

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from .detector import Setting
from .module_costs import Cost, extra_work
from .report import PARTS, Report

LIMIT = 0.05
"""The paper: a block adds less than 5 % of computation."""

COMPARED = ("M parameters", "GMAC", "saved MiB")

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


def caption(report: Report) -> str:
    """What the numbers of a report are of, in a few sentences."""
    one, two = report.inference, report.training
    text = (
        f"{report.name}: batch 1, float32, {one.height}x{one.width}, kernels as chosen on "
        f"{report.device}. GMAC: 1e9 multiply-adds of an inference, half its FLOPs, with "
        f"{one.proposals} proposals and {one.detections} detections; Gop: 1e9 other operations. "
        f"Saved: what autograd keeps for backward in a training step before the losses, with "
        f"{two.proposals} and {two.detections} RoIs. Largest: the largest tensor of an inference."
    )
    if report.blocks:
        text += (
            f"\nThe NL blocks add {report.extra:.2%} of multiply-adds to the detector without "
            f"them; less than the paper's 5 %: {verdict(report.extra)}."
        )
    for operator, times in report.unknown.items():
        text += f"\nNot counted: {operator}, {times} times."
    return text


def parts_table(report: Report) -> Table:
    """A row for each part, the total, and the NL blocks apart."""
    head = ("part", "M parameters", "GMAC", "Gop", "saved MiB", "largest MiB")
    rows = [(name, *_cells(cost)) for name, cost in report.parts.items()]
    rows.append(("total", *_cells(report.total)))
    if report.blocks:
        rows.append((f"of it {len(report.blocks)} NL block(s)", *_cells(report.all_blocks)))
    return Table(head, rows)


def _cells(cost: Cost) -> tuple[str, ...]:
    return (
        _mega(cost.parameters),
        _giga(cost.multiply_adds),
        _giga(cost.other_operations),
        _mebi(cost.saved_bytes),
        _mebi(cost.largest_bytes),
    )


def difference_table(report: Report, twin: Report) -> Table:
    """Each part beside the same part of another detector, and the differences."""
    head = ("part", *(c for n in COMPARED for c in (n, "twin", "difference")))
    pairs = [
        (part, report.parts.get(part, Cost()), twin.parts.get(part, Cost()))
        for part in PARTS
        if part in report.parts or part in twin.parts
    ]
    pairs.append(("total", report.total, twin.total))
    return Table(head, [(name, *_compared(a, b)) for name, a, b in pairs])


def _compared(a: Cost, b: Cost) -> tuple[str, ...]:
    cells: list[str] = []
    for show, one, two in (
        (_mega, a.parameters, b.parameters),
        (_giga, a.multiply_adds, b.multiply_adds),
        (_mebi, a.saved_bytes, b.saved_bytes),
    ):
        share = f" ({(one - two) / two:+.1%})" if two and one != two else ""
        cells += [show(one), show(two), f"{'+' * (one >= two)}{show(one - two)}{share}"]
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


def verdict_table(reports: Sequence[tuple[tuple[str, ...], Report]]) -> Table:
    """Whether a block adds less than 5 %, for each combination of choices."""
    head = ("config", "pairwise", "subsample", "GMAC of NL blocks", "they add", "< 5 %")
    return Table(head, [(*choice, *_added(r.total, r.all_blocks)) for choice, r in reports])


def verdict(extra: float) -> str:
    """What the paper claims of one block's share, true or not."""
    return "yes" if extra < LIMIT else "no"


def _added(whole: Cost, blocks: Cost) -> tuple[str, str, str]:
    if blocks == Cost():
        return "-", "-", "-"
    extra = extra_work(whole, blocks)
    return _giga(blocks.multiply_adds), f"{extra:.2%}", verdict(extra)


def _mega(number: int) -> str:
    return f"{number / 1e6:.2f}"


def _giga(number: int) -> str:
    return f"{number / 1e9:.2f}"


def _mebi(number: int) -> str:
    return f"{number / 2**20:.1f}"
