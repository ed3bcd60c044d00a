"""``results.json``: means over the seeds and paired differences, with 95 % intervals.

In the units of the metrics (AP points, percent, nats); None where nothing was measured.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean

from scipy import stats

from nonlocal_det.model_zoo.rows import TASKS, load_rows

from .mixing import find_mixed
from .plan import Plan
from .run import Json, Run

try:
    import pandas as pd
except ImportError as error:
    raise ImportError(
        f"{error}: suites need pandas; pip install 'nonlocal_det[experiments]', or pandas"
    ) from error

RIGHT, LOSS = "right ", "log-loss "
"""Begin the metrics of a range of distances, as "right 0.75-1"."""
BY_DISTANCE = {RIGHT: ("accuracy", 100), LOSS: ("log_loss", 1)}
"""Their keys in the rows of a measurement by distance, and the factors to percent."""


def collect_results(plan: Plan) -> Json:
    """Collect the content of ``results.json`` from what has finished by now."""
    results = {run: result for run in plan.runs if (result := run.result())}
    values = measured_values(plan, results)
    rows = () if plan.overrides else load_rows()
    costs = {row["config"]: row["cost"]["total"] for row in rows if "cost" in row}
    metrics = {config: _metrics(plan, config) for config in plan.configs}
    ranges = {config: _first_by_distance(config, results) for config in plan.configs}
    finished = results.values()
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
        "models": [
            {
                "config": config,
                "metrics": {m: summarize(_by_seed(values, config, m)) for m in metrics[config]},
                "learning_rate": plan.configs[config].SOLVER.BASE_LR,
                "parameters": costs.get(config, {}).get("parameters"),
                "multiply_adds": costs.get(config, {}).get("multiply_adds"),
                "by_distance": _by_distance(values, config, ranges[config]),
                **_times([r for run, r in results.items() if run.config == config]),
            }
            for config in plan.suite.configs
        ],
        "pairs": [
            {
                **paired_difference(values, pair.baseline, pair.config, metric),
                "metric": metric,
                "baseline_value": summarize(_by_seed(values, pair.baseline, metric)),
                "config_value": summarize(_by_seed(values, pair.config, metric)),
                "paper_difference": pair.paper.get(metric),
            }
            for pair in plan.suite.pairs
            for metric in metrics[pair.config]
        ],
        "distance_pairs": [
            {
                **paired_difference(values, pair.baseline, pair.config, measure + label),
                "range": label,
                "measure": measure.strip(),
            }
            for pair in plan.suite.pairs
            for measure in _measures(ranges[pair.config])
            for label in _ranges(ranges[pair.config])
        ],
        "runs": [
            {
                "config": run.config,
                "seed": run.seed,
                "status": run.status(),
                "error": run.error(),
                "by_distance": results.get(run, {}).get("by_distance"),
                "result": results.get(run),
            }
            for run in plan.runs
        ],
    }


def measured_values(plan: Plan, results: dict[Run, Json]) -> pd.DataFrame:
    """Tabulate what the finished runs have measured.

    Returns:
        A row for each seed and a column for each (config, metric), as "box AP" or "right 0-0.25",
        in AP points or percent; nan where COCO has no number or nothing was detected.
    """
    columns: dict[tuple[str, str], dict[int, float | None]] = defaultdict(dict)
    for run, result in results.items():
        for metric in _metrics(plan, run.config):
            task, name = metric.split()
            value = result["metrics"].get(TASKS[task].key, {}).get(name)
            columns[run.config, metric][run.seed] = value
        for measure in _measures(result.get("by_distance")):
            key, unit = BY_DISTANCE[measure]
            for label, row in _ranges(result["by_distance"]).items():
                value = None if row[key] is None else unit * row[key]
                columns[run.config, measure + label][run.seed] = value
    return pd.DataFrame(columns, index=plan.seeds, dtype=float)


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
    return values.get((config, metric), pd.Series(dtype=float)).dropna()


def _times(results: list[Json]) -> Json:
    """Means of the measured seconds, and the most memory, of one model's runs."""
    seconds = {key: [r[key] for r in results if r[key]] for key in ("s_per_iter", "s_per_image")}
    means = {key: fmean(values) if values else None for key, values in seconds.items()}
    return {**means, "memory_mib": max((r["memory_mib"] for r in results), default=None)}


def _by_distance(values: pd.DataFrame, config: str, first: Json | None) -> Json | None:
    """What is counted, the chance level and each range's accuracy, in percent."""
    if not first:
        return None
    bins = [
        {
            "range": label,
            "count": row["count"],
            **{
                BY_DISTANCE[measure][0]: summarize(_by_seed(values, config, measure + label))
                for measure in _measures(first)
            },
        }
        for label, row in _ranges(first).items()
    ]
    return {"of": first["of"], "unit": first["unit"], "chance": 100 * first["chance"], "bins": bins}


def _first_by_distance(config: str, results: dict[Run, Json]) -> Json | None:
    """The first finished run's, see `nonlocal_det.evaluation.accuracy_by_distance`."""
    contents = (r.get("by_distance") for run, r in results.items() if run.config == config)
    return next(filter(None, contents), None)


def _measures(by_distance: Json | None) -> list[str]:
    """What a measurement by distance has of `BY_DISTANCE`."""
    row = by_distance["all"] if by_distance else {}
    return [measure for measure, (key, _) in BY_DISTANCE.items() if key in row]


def _ranges(by_distance: Json | None) -> dict[str, Json]:
    """All things, then those of each range, as "0.75-1", "1+", or "2" of one distance."""
    if not by_distance:
        return {}
    ranges = {"all": by_distance["all"]}
    for row in by_distance["bins"]:
        end = "+" if row["high"] is None else f"-{row['high']:g}" * (row["high"] != row["low"])
        ranges[f"{row['low']:g}{end}"] = row
    return ranges


def _metrics(plan: Plan, config: str) -> list[str]:
    """The metrics of the suite's tasks that are the model's, as "box AP"."""
    return [
        f"{task} {metric}"
        for task in plan.suite.kind.tasks
        if TASKS[task].is_of(plan.configs[config])
        for metric in TASKS[task].metrics
    ]


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted(set(values))
