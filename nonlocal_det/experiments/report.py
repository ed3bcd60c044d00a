"""The suite's results: ``results.json``, everything; ``results.md``, the tables to read."""

from dataclasses import asdict
from typing import Any

from nonlocal_det.model_zoo.rows import load_rows
from nonlocal_det.training.result import write_json

from .distance import by_distance, distance_pairs
from .markdown import render
from .origin import find_mixed
from .paired import paired_differences, summarize
from .plan import Plan
from .record import Json, Run
from .suites import METRICS, TASKS, Pair


def write_report(plan: Plan) -> str:
    """Write both files from what has finished by now; returns the markdown."""
    results = collect(plan)
    text = render(results)
    plan.output.mkdir(parents=True, exist_ok=True)
    write_json(plan.output / "results.json", results)
    (plan.output / "results.md").write_text(text)
    return text


def collect(plan: Plan) -> Json:
    """The content of ``results.json``: all in AP points, None where nothing was measured."""
    finished = [result for run in plan.runs if (result := run.result())]
    return {
        "suite": plan.suite.name,
        "schedule": plan.schedule,
        "seeds": list(plan.seeds),
        "overrides": list(plan.overrides),
        "command": plan.command,
        "mixed": find_mixed(plan, training=False),
        "commit": _distinct(result["commit"] for result in finished),
        "hardware": _distinct(result["hardware"] for result in finished),
        "versions": _distinct(
            ", ".join(f"{name} {number}" for name, number in result["versions"].items())
            for result in finished
        ),
        "data": _distinct(
            f"{name} {digest}" for result in finished for name, digest in result["data"].items()
        ),
        "models": [_model(plan, name) for name in plan.suite.configs],
        "pairs": [row for pair in plan.suite.pairs for row in _pair(plan, pair)],
        "distance_pairs": [r for pair in plan.suite.pairs for r in distance_pairs(plan, pair)],
        "runs": [_run(run) for run in plan.runs],
    }


def _distinct(values: Any) -> list[str]:
    return sorted(set(values))


def _run(run: Run) -> Json:
    starts = run.starts()
    return {
        "config": run.config,
        "seed": run.seed,
        "status": run.status(),
        "error": starts[-1]["error"] if starts else "",
        "by_distance": (run.result() or {}).get("by_distance"),
        "result": run.result(),
    }


def _model(plan: Plan, config: str) -> Json:
    """Mean and spread of one model over its seeds."""
    results = [r for run in plan.runs if run.config == config and (r := run.result())]
    return {
        "config": config,
        "metrics": {
            f"{task} {metric}": asdict(
                summarize(list(_by_seed(plan, config, task, metric).values()))
            )
            for task in _tasks(plan, config)
            for metric in METRICS
        },
        "learning_rate": plan.configs[config].SOLVER.BASE_LR,
        **_cost(plan, config),
        "by_distance": by_distance(plan, config),
        "s_per_iter": summarize([r["s_per_iter"] for r in results if r["s_per_iter"]]).mean,
        "s_per_image": summarize([r["s_per_image"] for r in results if r["s_per_image"]]).mean,
        "memory_mib": max((r["memory_mib"] for r in results), default=None),
    }


def _tasks(plan: Plan, config: str) -> list[str]:
    """The suite's tasks that the model has a head for."""
    node = plan.configs[config].MODEL
    has = {"box": True, "mask": node.MASK_ON, "keypoint": node.KEYPOINT_ON}
    return [task for task in plan.suite.tasks if has[task]]


def _cost(plan: Plan, config: str) -> Json:
    """Parameters and multiply-adds of an inference; None where options may have changed them."""
    rows = {} if plan.overrides else {row["config"]: row for row in load_rows()}
    total = rows[config]["cost"]["total"] if config in rows else {}
    return {key: total.get(key) for key in ("parameters", "multiply_adds")}


def _pair(plan: Plan, pair: Pair) -> list[Json]:
    """A row for each metric: both means, and the difference seed by seed."""
    rows = []
    for task in _tasks(plan, pair.config):
        for metric in METRICS:
            base = _by_seed(plan, pair.baseline, task, metric)
            model = _by_seed(plan, pair.config, task, metric)
            differences = paired_differences(base, model)
            rows.append(
                {
                    "baseline": pair.baseline,
                    "config": pair.config,
                    "metric": f"{task} {metric}",
                    "baseline_value": asdict(summarize(list(base.values()))),
                    "config_value": asdict(summarize(list(model.values()))),
                    "difference": asdict(summarize(list(differences.values()))),
                    "by_seed": {str(seed): value for seed, value in differences.items()},
                    "paper_difference": pair.paper.get((task, metric)),
                }
            )
    return rows


def _by_seed(plan: Plan, config: str, task: str, metric: str) -> dict[int, float]:
    """AP points of the finished runs that have this metric."""
    values = {}
    for run in plan.runs:
        result = run.result() if run.config == config else None
        value = (result or {"metrics": {}})["metrics"].get(TASKS[task], {}).get(metric)
        if value is not None:
            values[run.seed] = value
    return values
