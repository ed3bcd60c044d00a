"""Every arm's own learning rate, from one small grid, chosen where nothing is tested."""

from nonlocal_det.model_zoo.learning_rates import Entry, save_learning_rates
from nonlocal_det.model_zoo.rows import config_sha256

from .cells import table
from .plan import Plan
from .record import Json, Run
from .suites import TASKS

_DIVERGED = "FloatingPointError"  # what Detectron2 raises when a loss is no number


def write_choice(plan: Plan) -> str:
    """Choose the rate of every model all of whose runs have ended, and write it down.

    Args:
        plan: made with ``choose_lr``; its ``lr_file`` is written.

    Returns:
        What was tried and chosen, as markdown.
    """
    entries = [entry for config in plan.configs if (entry := _choose(plan, config))]
    if entries:
        save_learning_rates(entries, plan.lr_file)
    chosen = {entry["config"]: entry for entry in entries}
    head = ["model", "metric", *(f"{rate:g}" for rate in plan.grid), "chosen"]
    rows = [_row(plan, config, chosen.get(config)) for config in plan.configs]
    said = [f"# Learning rates, seed {plan.seeds[0]}", "", table(head, rows, left=2), ""]
    edges = [c for c, entry in chosen.items() if entry["chosen"] in (plan.grid[0], plan.grid[-1])]
    if edges and len(plan.grid) > 2:
        said.append(f"At the edge of the grid, so perhaps not the best: {', '.join(edges)}.")
    return "\n".join([*said, f"{len(entries)} of {len(plan.configs)} models in {plan.lr_file}."])


def _row(plan: Plan, config: str, entry: Entry | None) -> list[str]:
    cells = []
    for run in _runs(plan, config):
        value = _value(plan, run)
        ended = "-" if run.result() is None else "none"
        cells.append("diverged" if _diverged(run) else ended if value is None else f"{value:.2f}")
    chosen = f"**{entry['chosen']:g}**" if entry else "-"
    return [f"`{config}`", plan.lr_metric(config), *cells, chosen]


def _choose(plan: Plan, config: str) -> Entry | None:
    """The entry of a model; None while it is not known, or if no rate gave any detection."""
    runs = _runs(plan, config)
    results = [result for run in runs if (result := run.result())]
    if not all(run.result() or _diverged(run) for run in runs):
        return None
    tried = {run.rate: _value(plan, run) for run in runs if run.rate is not None}
    numbers = {rate: value for rate, value in tried.items() if value is not None}
    if not numbers:
        return None
    return {
        "config": config,
        "chosen": max(numbers, key=lambda rate: numbers[rate]),  # of equal ones the lowest
        "tried": {f"{rate:g}": value for rate, value in tried.items()},
        "metric": plan.lr_metric(config),
        "seed": plan.seeds[0],
        "data": _val_data(plan, config, results[0]),
        "overrides": list(plan.overrides),
        "config_sha256": config_sha256(config),
        "commit": "; ".join(sorted({result["commit"] for result in results})),
        "hardware": "; ".join(sorted({result["hardware"] for result in results})),
        "command": plan.command,
    }


def _val_data(plan: Plan, config: str, result: Json) -> dict[str, str]:
    return {name: result["data"][name] for name in plan.configs[config].DATASETS.TEST}


def _runs(plan: Plan, config: str) -> list[Run]:
    return [run for run in plan.runs if run.config == config]


def _diverged(run: Run) -> bool:
    starts = run.starts()
    return run.result() is None and bool(starts) and _DIVERGED in starts[-1]["error"]


def _value(plan: Plan, run: Run) -> float | None:
    """AP points of a finished run; None where COCO has no number."""
    result = run.result()
    task, metric = plan.lr_metric(run.config).split()
    found: float | None = result["metrics"].get(TASKS[task], {}).get(metric) if result else None
    return found
