"""``results.json``: means over the seeds and paired differences, with 95 % intervals.

All in AP points or percent; None where nothing was measured.
"""

import warnings
from collections.abc import Iterable, Iterator
from statistics import fmean

from scipy import stats

from nonlocal_det.model_zoo.rows import load_rows

from .mixing import find_mixed
from .plan import Plan
from .run import Json, Run
from .suites import METRICS, TASKS

try:
    import pandas as pd
except ImportError as error:
    raise ImportError(
        f"{error}: suites need pandas; pip install 'nonlocal_det[experiments]', or pandas"
    ) from error

RIGHT = "right "
"""Begins the metric of a range of distances, as "right 0.75-1"."""


def collect_results(plan: Plan) -> Json:
    """Collect the content of ``results.json`` from what has finished by now."""
    finished = [result for run in plan.runs if (result := run.result())]
    values = measured_values(plan)
    costs = {} if plan.overrides else {row["config"]: row["cost"]["total"] for row in load_rows()}
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
        "models": [_model(plan, values, name, costs.get(name, {})) for name in plan.suite.configs],
        "pairs": list(_pairs(plan, values)),
        "distance_pairs": list(_distance_pairs(plan, values)),
        "runs": [_run(run) for run in plan.runs],
    }


def measured_values(plan: Plan) -> pd.DataFrame:
    """List what the finished runs have measured.

    Returns:
        A row for each ``config``, ``seed`` and ``metric`` ("box AP", "right 0-0.25") with its
        ``value`` in AP points or percent; none where COCO has no number or nothing was detected.
    """
    rows = []
    for run in plan.runs:
        result = run.result()
        if not result:
            continue
        for task in _tasks(plan, run.config):
            for metric in METRICS:
                value = result["metrics"].get(TASKS[task], {}).get(metric)
                rows.append((run.config, run.seed, f"{task} {metric}", value))
        for label, row in _ranges(result.get("by_distance")).items():
            value = None if row["accuracy"] is None else 100 * row["accuracy"]
            rows.append((run.config, run.seed, RIGHT + label, value))
    return pd.DataFrame(rows, columns=["config", "seed", "metric", "value"]).dropna()


def summarize(values: pd.Series) -> Json:
    """Compute count, mean, standard deviation (n - 1) and the 95 % interval of the mean.

    The interval is Student's. With 3 runs its t is 4.30, not 1.96: few runs say little.

    Returns:
        The mean is None of no value, ``std`` and ``interval`` below two.
    """
    count = len(values)
    mean = float(values.mean()) if count else None
    if count < 2:
        return {"count": count, "mean": mean, "std": None, "interval": None}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Precision loss")  # equal values: the interval is one
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    interval = (float(low), float(high))
    return {"count": count, "mean": mean, "std": float(values.std()), "interval": interval}


def paired_difference(values: pd.DataFrame, baseline: str, config: str, metric: str) -> Json:
    """Subtract the baseline's value from the model's for each seed that both have.

    Returns:
        ``baseline``, ``config``, ``difference`` (see `summarize`) and ``by_seed``.
    """
    by_seed = (_by_seed(values, config, metric) - _by_seed(values, baseline, metric)).dropna()
    return {
        "baseline": baseline,
        "config": config,
        "difference": summarize(by_seed),
        "by_seed": {str(seed): float(value) for seed, value in by_seed.items()},
    }


def _by_seed(values: pd.DataFrame, config: str, metric: str) -> pd.Series:
    chosen = values[(values["config"] == config) & (values["metric"] == metric)]
    return chosen.set_index("seed")["value"].astype(float)


def _pairs(plan: Plan, values: pd.DataFrame) -> Iterator[Json]:
    for pair in plan.suite.pairs:
        for metric in _metrics(plan, pair.config):
            yield {
                **paired_difference(values, pair.baseline, pair.config, metric),
                "metric": metric,
                "baseline_value": summarize(_by_seed(values, pair.baseline, metric)),
                "config_value": summarize(_by_seed(values, pair.config, metric)),
                "paper_difference": pair.paper.get(metric),
            }


def _distance_pairs(plan: Plan, values: pd.DataFrame) -> Iterator[Json]:
    for pair in plan.suite.pairs:
        for label in _ranges(_first_by_distance(plan, pair.config)):
            row = paired_difference(values, pair.baseline, pair.config, RIGHT + label)
            yield {**row, "range": label}


def _model(plan: Plan, values: pd.DataFrame, config: str, cost: Json) -> Json:
    """Mean and spread of one model over its seeds; costs of an inference."""
    results = [r for run in plan.runs if run.config == config and (r := run.result())]

    def mean(key: str) -> float | None:
        values = [r[key] for r in results if r[key]]
        return fmean(values) if values else None

    return {
        "config": config,
        "metrics": {
            metric: summarize(_by_seed(values, config, metric)) for metric in _metrics(plan, config)
        },
        "learning_rate": plan.configs[config].SOLVER.BASE_LR,
        "parameters": cost.get("parameters"),
        "multiply_adds": cost.get("multiply_adds"),
        "by_distance": _by_distance(plan, values, config),
        "s_per_iter": mean("s_per_iter"),
        "s_per_image": mean("s_per_image"),
        "memory_mib": max((r["memory_mib"] for r in results), default=None),
    }


def _by_distance(plan: Plan, values: pd.DataFrame, config: str) -> Json | None:
    """What is counted, the chance level and each range's accuracy, in percent."""
    first = _first_by_distance(plan, config)
    if not first:
        return None
    bins = [
        {
            "range": label,
            "count": row["count"],
            "accuracy": summarize(_by_seed(values, config, RIGHT + label)),
        }
        for label, row in _ranges(first).items()
    ]
    return {"of": first["of"], "unit": first["unit"], "chance": 100 * first["chance"], "bins": bins}


def _first_by_distance(plan: Plan, config: str) -> Json | None:
    """The first finished run's, see `nonlocal_det.evaluation.accuracy_by_distance`."""
    results = (run.result() for run in plan.runs if run.config == config)
    return next((r["by_distance"] for r in results if r and r.get("by_distance")), None)


def _ranges(by_distance: Json | None) -> dict[str, Json]:
    """All things, then those of each range, as "0.75-1" or "1+"."""
    if not by_distance:
        return {}
    ranges = {"all": by_distance["all"]}
    for row in by_distance["bins"]:
        end = "+" if row["high"] is None else f"-{row['high']:g}"
        ranges[f"{row['low']:g}{end}"] = row
    return ranges


def _tasks(plan: Plan, config: str) -> list[str]:
    """The suite's tasks that the model has a head for."""
    node = plan.configs[config].MODEL
    has = {"box": True, "mask": node.MASK_ON, "keypoint": node.KEYPOINT_ON}
    return [task for task in plan.suite.tasks if has[task]]


def _metrics(plan: Plan, config: str) -> list[str]:
    return [f"{task} {metric}" for task in _tasks(plan, config) for metric in METRICS]


def _run(run: Run) -> Json:
    starts, result = run.starts(), run.result()
    return {
        "config": run.config,
        "seed": run.seed,
        "status": run.status(),
        "error": starts[-1]["error"] if starts else "",
        "by_distance": (result or {}).get("by_distance"),
        "result": result,
    }


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted(set(values))
