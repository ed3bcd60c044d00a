"""Which models a suite compares, read from the zoo's rows: written once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nonlocal_det.model_zoo.rows import SUITES, TASKS, Row, SuiteKind, load_rows

# Detectron2's own: the paper does not give COCO's. Nothing else is scaled with them.
SCHEDULES = {
    "1x": {"SOLVER.MAX_ITER": "90000", "SOLVER.STEPS": "(60000, 80000)"},
    "3x": {"SOLVER.MAX_ITER": "270000", "SOLVER.STEPS": "(210000, 250000)"},
}


@dataclass(frozen=True)
class Pair:
    """A config and what it is compared with, under equal seeds."""

    baseline: str  # the model without blocks, or a control of equal cost
    config: str
    paper: dict[str, float]  # the paper's differences in points by metric, as "box AP"


@dataclass(frozen=True)
class Suite:
    """The pairs of one table, and what they have in common."""

    name: str
    kind: SuiteKind
    pairs: tuple[Pair, ...]

    @property
    def configs(self) -> tuple[str, ...]:
        """Every config once, a baseline before what is compared with it."""
        names = [name for pair in self.pairs for name in (pair.baseline, pair.config)]
        return tuple(dict.fromkeys(names))


QUESTIONS = tuple(dict.fromkeys(q for row in load_rows() for q in row.get("questions", ())))
"""Parts of suites that can be run separately."""


def find_suite(name: str, only: str = "") -> Suite:
    """Find a suite by its name.

    Args:
        name: one of `SUITES`.
        only: questions of the rows, as "beacon", whole names or parts of names, with commas
            between; for each the first of these three that fits. Baselines are kept.

    Raises:
        ValueError: ``name`` is not in `SUITES`, or a word of ``only`` fits no model.
    """
    if name not in SUITES:
        raise ValueError(f"--suite {name!r}: unknown; expected one of {', '.join(SUITES)}")
    rows = {row["config"]: row for row in load_rows()}
    members = [r for r in rows.values() if r.get("baseline") and name in r.get("suites", ())]
    words = only.split(",") if only else []
    selected = {config for word in words for config in _select(word, members, name)}
    pairs = [
        Pair(other, row["config"], _paper_differences(rows[other], row))
        for row in members
        if row["config"] in selected or not words
        for other in (row["baseline"], row.get("control"))
        if other
    ]
    return Suite(name, SUITES[name], tuple(pairs))


def _select(word: str, rows: Sequence[Row], suite: str) -> list[str]:
    """The configs of a question, or of that name, or with it in their names."""
    tests: tuple[Callable[[Row], bool], ...] = (
        lambda row: word in row.get("questions", ()),
        lambda row: word in (row["config"], row["config"].rpartition("/")[2]),
        lambda row: word != "" and word in row["config"],
    )
    for fits in tests:
        if configs := [row["config"] for row in rows if fits(row)]:
            return configs
    names = ", ".join(row["config"] for row in rows)
    raise ValueError(f"--only {word!r}: no pair of {suite} has it in its name; there are {names}")


def _paper_differences(baseline: Row, row: Row) -> dict[str, float]:
    """The paper's differences, with the one decimal that its numbers have."""
    before, after = (r.get("paper") or {} for r in (baseline, row))
    return {
        f"{task} {metric}": round(value - base, 1)
        for task in after
        for metric, value, base in zip(
            TASKS[task].metrics, after[task], before.get(task, ()), strict=False
        )
    }
