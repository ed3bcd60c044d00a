"""The report of a grid of learning rates: which is best for every model, on the split val."""

from .markdown import markdown_table
from .plan import Plan
from .run import Run
from .suites import TASKS

_DIVERGED = "FloatingPointError"  # what Detectron2 raises when a loss is no number


def write_grid_report(plan: Plan) -> str:
    """Write ``learning_rates.md``: each model's metric by rate, and the line for its YAML.

    Args:
        plan: made with ``choose_lr``.

    Returns:
        The markdown.
    """
    chosen = {config: rate for config in plan.configs if (rate := best_rate(plan, config))}
    head = ["model", "metric", *(f"{rate:g}" for rate in plan.grid), "chosen"]
    rows = [
        [
            f"`{config}`",
            " ".join(_metric(plan, config)),
            *(_cell(plan, run) for run in _runs(plan, config)),
            f"**{chosen[config]:g}**" if config in chosen else "-",
        ]
        for config in plan.configs
    ]
    lines = [f"# Learning rates, seed {plan.seeds[0]}", "", markdown_table(head, rows, left=2), ""]
    edges = [config for config, rate in chosen.items() if rate in (plan.grid[0], plan.grid[-1])]
    if edges and len(plan.grid) > 2:
        lines += [f"At the edge of the grid, so perhaps not the best: {', '.join(edges)}.", ""]
    for config, rate in chosen.items():
        now = plan.configs[config].SOLVER.BASE_LR
        line = f"configs/{config}.yaml: SOLVER: BASE_LR: {rate:g}"
        lines.append(line + ("" if rate == now else f"  (now {now:g})"))
    lines += ["", f"`{plan.command}`"]
    text = "\n".join(lines)
    plan.output.mkdir(parents=True, exist_ok=True)
    (plan.output / "learning_rates.md").write_text(text + "\n")
    return text


def best_rate(plan: Plan, config: str) -> float | None:
    """Choose the rate with the highest metric, of equal ones the lowest.

    Returns:
        None while a run has not ended, or if no rate gave any detection.
    """
    runs = _runs(plan, config)
    if not all(run.result() or _diverged(run) for run in runs):
        return None
    values = {run.rate: value for run in runs if (value := _value(plan, run)) is not None}
    return max(values, key=lambda rate: values[rate], default=None)


def _runs(plan: Plan, config: str) -> list[Run]:
    return [run for run in plan.runs if run.config == config]


def _metric(plan: Plan, config: str) -> tuple[str, str]:
    return ("keypoint" if plan.configs[config].MODEL.KEYPOINT_ON else "box"), "AP"


def _cell(plan: Plan, run: Run) -> str:
    if _diverged(run):
        return "diverged"
    if run.result() is None:
        return "-"
    value = _value(plan, run)
    return "none" if value is None else f"{value:.2f}"


def _diverged(run: Run) -> bool:
    starts = run.starts()
    return run.result() is None and bool(starts) and _DIVERGED in starts[-1]["error"]


def _value(plan: Plan, run: Run) -> float | None:
    """AP points of a finished run; None where COCO has no number."""
    result = run.result()
    task, metric = _metric(plan, run.config)
    value: float | None = result["metrics"].get(TASKS[task], {}).get(metric) if result else None
    return value
