"""Costs as tables: one model, two side by side, many, and the paper's ratios."""

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from .module_costs import PARTS, Cost, ModelCosts, extra_work
from .video_costs import VideoCosts

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


def caption(costs: ModelCosts) -> str:
    """Say in a few sentences what was counted, on what, and what was not."""
    inference, training = costs.inference, costs.training
    text = (
        f"{costs.name}: batch 1, float32, {inference}, kernels as chosen on {costs.device}. GMAC: "
        "1e9 multiply-adds of an inference, half its FLOPs"
    )
    if isinstance(costs, VideoCosts):
        text += (
            "; Gop: 1e9 other operations. Saved: what autograd keeps for backward in a training "
            "step of one clip. Largest: the largest tensor of an inference.\n"
            f"A test, {costs.views}: {_giga(costs.test.multiply_adds)} GMAC, with "
            f"{costs.views.at_once} views at once a largest tensor of "
            f"{_mebi(costs.test.largest_bytes)} MiB."
        )
    else:
        text += (
            f", with {inference.proposals} proposals and {inference.detections} detections; Gop: "
            "1e9 other operations. Saved: what autograd keeps for backward in a training step "
            f"before the losses, with {training.proposals} and {training.detections} RoIs. "
            "Largest: the largest tensor of an inference."
        )
    if costs.blocks:
        text += f"\nThe NL blocks add {costs.extra:.2%} of multiply-adds to the model without them"
        if not isinstance(costs, VideoCosts):
            text += f"; less than the paper's 5 %: {_verdict(costs.extra)}"
        text += f", and are {_shares(costs)} of the whole."
    for operator, times in costs.unknown.items():
        text += f"\nNot counted: {operator}, {times} times."
    return text


def _shares(costs: ModelCosts) -> str:
    whole, blocks = costs.total, costs.all_blocks
    shares = (
        (blocks.parameters, whole.parameters, "of the parameters"),
        (blocks.multiply_adds, whole.multiply_adds, "of the multiply-adds"),
        (blocks.saved_bytes, whole.saved_bytes, "of what is saved"),
    )
    return ", ".join(f"{part / all_:.1%} {of}" for part, all_, of in shares if all_)


def parts_table(costs: ModelCosts) -> Table:
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


def difference_table(costs: ModelCosts, baseline: ModelCosts) -> Table:
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


def summary_table(rows: Sequence[tuple[str, object, Cost, Cost]]) -> Table:
    """A row for each detector, and whether its NL blocks add less than the paper's 5 %.

    Args:
        rows: name, what the inference was run on, cost in total and of the NL blocks.
    """
    head = (
        *("config", "image", "M parameters", "GMAC", "of NL blocks", "they add", "< 5 %"),
        *("saved MiB", "of NL blocks"),
    )
    cells = [
        (
            name,
            str(setting),
            _mega(whole.parameters),
            _giga(whole.multiply_adds),
            *_added(whole, blocks),
            _mebi(whole.saved_bytes),
            _mebi(blocks.saved_bytes) if blocks != Cost() else "-",
        )
        for name, setting, whole, blocks in rows
    ]
    return Table(head, cells)


def video_table(rows: Sequence[VideoCosts]) -> Table:
    """A row for each network for clips: one view, its blocks' share, and a test."""
    head = (
        *("config", "view", "M parameters", "GMAC", "of NL blocks", "they add"),
        *("saved MiB", "of NL blocks", "test", "GMAC of it", "largest MiB"),
    )
    cells = [
        (
            *(c.name, str(c.inference), _mega(c.total.parameters), _giga(c.total.multiply_adds)),
            *_added(c.total, c.all_blocks)[:2],
            _mebi(c.total.saved_bytes),
            _mebi(c.all_blocks.saved_bytes) if c.blocks else "-",
            *(str(c.views), _giga(c.test.multiply_adds), _mebi(c.test.largest_bytes)),
        )
        for c in rows
    ]
    return Table(head, cells)


def ratio_table(
    rows: Sequence[tuple[str, float, float, ModelCosts]], baseline: ModelCosts
) -> Table:
    """Whether the paper's ratios to C2D R101 are those that are counted, rounded as it rounds.

    Args:
        rows: what it is, the paper's ratio of parameters and of FLOPs, and the costs.
        baseline: C2D R101.
    """
    head = ("ratio", "parameters", "paper", "equal", "multiply-adds", "paper", "equal")
    cells = []
    for label, of_parameters, of_flops, costs in rows:
        pairs = (
            (costs.total.parameters / baseline.total.parameters, of_parameters),
            (costs.total.multiply_adds / baseline.total.multiply_adds, of_flops),
        )
        words = [
            (f"{ratio:.3f}", f"{stated:.1f}", "yes" if round(ratio, 1) == stated else "no")
            for ratio, stated in pairs
        ]
        cells.append((label, *words[0], *words[1]))
    return Table(head, cells)


def memory_table(rows: Sequence[tuple[str, ModelCosts]]) -> Table:
    """The blocks' memory in a training step, and whether the first row needs less than each."""
    first = rows[0][1].all_blocks.saved_bytes
    head = ("blocks", "saved MiB", f"more than {rows[0][0]}")
    cells = [
        (label, _mebi(saved := costs.all_blocks.saved_bytes), "yes" if saved > first else "no")
        for label, costs in rows[1:]
    ]
    return Table(head, [(rows[0][0], _mebi(first), "-"), *cells])


def verdict_table(variants: Sequence[tuple[tuple[str, ...], ModelCosts]]) -> Table:
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
