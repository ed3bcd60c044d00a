"""Which models a table of the paper compares, read from the zoo's rows: written once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nonlocal_det.model_zoo.table import load_rows

Row = dict[str, Any]

# Detectron2's own: the paper does not give COCO's. Nothing else is scaled with them.
SCHEDULES = {
    "1x": {"SOLVER.MAX_ITER": "90000", "SOLVER.STEPS": "(60000, 80000)"},
    "3x": {"SOLVER.MAX_ITER": "270000", "SOLVER.STEPS": "(210000, 250000)"},
}
METRICS = ("AP", "AP50", "AP75")  # as the paper's tables have them
TASKS = {"box": "bbox", "mask": "segm", "keypoint": "keypoints"}  # the zoo's word: Detectron2's


@dataclass(frozen=True)
class Pair:
    """A non-local model and its baseline twin.

    Attributes:
        baseline: name of a config.
        config: name of its non-local twin.
        paper: the paper's difference in AP points by task and metric, as ("box", "AP"); empty
            where the paper has none.
    """

    baseline: str
    config: str
    paper: dict[tuple[str, str], float]


@dataclass(frozen=True)
class Suite:
    """The pairs of one table, and the tasks it reports."""

    name: str
    tasks: tuple[str, ...]
    pairs: tuple[Pair, ...]

    @property
    def configs(self) -> tuple[str, ...]:
        """Every config once, a baseline before its twins."""
        names = [name for pair in self.pairs for name in (pair.baseline, pair.config)]
        return tuple(dict.fromkeys(names))


_CHOICE: dict[str, tuple[tuple[str, ...], Callable[[Row], bool]]] = {
    "table5": (("box", "mask"), lambda row: "box" in (row.get("paper") or {})),
    "table6": (("keypoint",), lambda row: "keypoint" in (row.get("paper") or {})),
    "quick": (("box", "mask", "keypoint"), lambda row: row["config"].startswith("quick/")),
}
SUITES = tuple(_CHOICE)


def find_suite(name: str, only: str = "") -> Suite:
    """A suite by its name.

    Args:
        name: one of `SUITES`.
        only: keep the pairs whose non-local config has this in its name.

    Raises:
        ValueError: there is no such suite, or no such pair in it.
    """
    if name not in _CHOICE:
        raise ValueError(f"--suite {name!r}: unknown; expected one of {', '.join(SUITES)}")
    tasks, belongs = _CHOICE[name]
    rows = {row["config"]: row for row in load_rows()}
    chosen = [row for row in rows.values() if row.get("baseline") and belongs(row)]
    kept = [row for row in chosen if only in row["config"]]
    if not kept:
        names = ", ".join(row["config"] for row in chosen)
        raise ValueError(
            f"--only {only!r}: no pair of {name} has it in its name; there are {names}"
        )
    pairs = (Pair(r["baseline"], r["config"], _paper(rows[r["baseline"]], r)) for r in kept)
    return Suite(name, tasks, tuple(pairs))


def _paper(baseline: Row, row: Row) -> dict[tuple[str, str], float]:
    """The paper's differences, with the one decimal that its numbers have."""
    differences = {}
    theirs = baseline.get("paper") or {}
    for task, values in (row.get("paper") or {}).items():
        for metric, value, base in zip(METRICS, values, theirs.get(task, ()), strict=False):
            differences[task, metric] = round(value - base, 1)
    return differences
