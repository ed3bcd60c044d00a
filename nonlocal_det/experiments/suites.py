"""Which models a suite compares, read from the zoo's rows: written once."""

from collections.abc import Callable, Sequence
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
LONG_RANGE = "long-range"
TASKS = {"box": "bbox", "mask": "segm", "keypoint": "keypoints"}  # the zoo's word: Detectron2's


@dataclass(frozen=True)
class Pair:
    """A model and what it is compared with, under equal seeds.

    Attributes:
        baseline: name of a config: the baseline twin, or the control of equal cost without reach.
        config: name of the model's.
        paper: the paper's difference in AP points by task and metric, as ("box", "AP"); empty
            where the paper has none.
    """

    baseline: str
    config: str
    paper: dict[tuple[str, str], float]


@dataclass(frozen=True)
class Suite:
    """The pairs of one table, and the tasks it reports.

    Attributes:
        name: one of `SUITES`.
        tasks: of `TASKS`.
        pairs: what is compared.
    """

    name: str
    tasks: tuple[str, ...]
    pairs: tuple[Pair, ...]

    @property
    def has_schedules(self) -> bool:
        """Whether the paper's COCO schedules apply; else the configs have their own."""
        return self.name.startswith("table")

    @property
    def has_val(self) -> bool:
        """Whether there is a split on which learning rates are chosen, apart from the tested."""
        return self.name == LONG_RANGE

    @property
    def configs(self) -> tuple[str, ...]:
        """Every config once, what is compared with before its twins."""
        names = [name for pair in self.pairs for name in (pair.baseline, pair.config)]
        return tuple(dict.fromkeys(names))


_CHOICE: dict[str, tuple[tuple[str, ...], Callable[[Row], bool]]] = {
    "table5": (("box", "mask"), lambda row: "box" in (row.get("paper") or {})),
    "table6": (("keypoint",), lambda row: "keypoint" in (row.get("paper") or {})),
    "quick": (("box", "mask", "keypoint"), lambda row: row["config"].startswith("quick/")),
    LONG_RANGE: (("box", "keypoint"), lambda row: row["task"] == LONG_RANGE),
}
SUITES = tuple(_CHOICE)
QUESTIONS = tuple(dict.fromkeys(q for row in load_rows() for q in row.get("questions", ())))
"""Parts of the suite long-range that one can run by themselves."""


def find_suite(name: str, only: str = "") -> Suite:
    """A suite by its name.

    Args:
        name: one of `SUITES`.
        only: questions of the rows, as "beacon", whole names or parts of names, with commas
            between; the first of these three that fits. What the kept are compared with stays.

    Raises:
        ValueError: there is no such suite, or no such model in it.
    """
    if name not in _CHOICE:
        raise ValueError(f"--suite {name!r}: unknown; expected one of {', '.join(SUITES)}")
    tasks, belongs = _CHOICE[name]
    rows = {row["config"]: row for row in load_rows()}
    chosen = [row for row in rows.values() if row.get("baseline") and belongs(row)]
    words = only.split(",") if only else []
    meant = [row["config"] for word in words for row in _meant(word, chosen, name)]
    kept = [row for row in chosen if row["config"] in meant or not words]
    pairs = [
        Pair(other, row["config"], _paper(rows[other], row))
        for row in kept
        for other in (row["baseline"], row.get("control"))
        if other
    ]
    return Suite(name, tasks, tuple(pairs))


def _meant(word: str, rows: Sequence[Row], suite: str) -> list[Row]:
    """The rows of a question, or the one of that name, or those with it in their names."""
    ways: tuple[Callable[[Row], bool], ...] = (
        lambda row: word in row.get("questions", ()),
        lambda row: word in (row["config"], row["config"].rpartition("/")[2]),
        lambda row: word != "" and word in row["config"],
    )
    for fits in ways:
        if meant := [row for row in rows if fits(row)]:
            return meant
    names = ", ".join(row["config"] for row in rows)
    raise ValueError(f"--only {word!r}: no pair of {suite} has it in its name; there are {names}")


def _paper(baseline: Row, row: Row) -> dict[tuple[str, str], float]:
    """The paper's differences, with the one decimal that its numbers have."""
    differences = {}
    theirs = baseline.get("paper") or {}
    for task, values in (row.get("paper") or {}).items():
        for metric, value, base in zip(METRICS, values, theirs.get(task, ()), strict=False):
            differences[task, metric] = round(value - base, 1)
    return differences
