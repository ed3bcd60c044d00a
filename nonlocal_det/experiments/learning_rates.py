"""The report of a grid of learning rates: which is best for every model, on the split val."""

from nonlocal_det.model_zoo.rows import TASKS

from .markdown import markdown_table
from .plan import Plan
from .run import Run

_DIVERGED = "FloatingPointError"  # what Detectron2 raises when a loss is no number


def write_grid_report(plan: Plan) -> str:
    """Write and return ``learning_rates.md``: each model by rate, and its line of YAML.

    A model is measured by the first metric of the last task of the suite that it has.
    """
    rows, chosen = [], {}
    for config, cfg in plan.configs.items():
        task = next(t for t in reversed(plan.suite.kind.tasks) if TASKS[t].is_of(cfg))
        best_of = min if TASKS[task].lower_is_better else max
        runs = [run for run in plan.runs if run.config == config]
        values = {run.rate: value for run in runs if (value := _value(run, task)) is not None}
        has_ended = all(run.result() or _diverged(run) for run in runs)
        if has_ended and values:  # of equal ones the lowest rate
            chosen[config] = best_of(values, key=lambda rate: values[rate])
        best = f"**{chosen[config]:g}**" if config in chosen else "-"
        rows.append(
            [
                f"`{config}`",
                f"{task} {TASKS[task].metrics[0]}",
                *(_cell(run, task) for run in runs),
                best,
            ]
        )
    head = ["model", "metric", *(f"{rate:g}" for rate in plan.grid), "chosen"]
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


def _cell(run: Run, task: str) -> str:
    if _diverged(run):
        return "diverged"
    if run.result() is None:
        return "-"
    value = _value(run, task)
    return "none" if value is None else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def _diverged(run: Run) -> bool:
    return run.result() is None and _DIVERGED in run.error()


def _value(run: Run, task: str) -> float | None:
    """The first metric of a finished run; None where the evaluator has no number."""
    key, (metric, *_) = TASKS[task].key, TASKS[task].metrics
    result = run.result()
    value: float | None = result["metrics"].get(key, {}).get(metric) if result else None
    return value
