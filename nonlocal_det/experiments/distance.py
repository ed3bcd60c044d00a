"""Accuracy against the distance to the evidence, over the seeds and paired."""

from collections.abc import Mapping
from dataclasses import asdict

from .paired import paired_differences, summarize
from .plan import Plan
from .record import Json
from .suites import Pair

Bins = dict[str, float]
"""Accuracy in percent by range of distances; without those where nothing was detected."""


def by_distance(plan: Plan, config: str) -> Json | None:
    """The accuracies of one model.

    Returns:
        None where its data has no distances or nothing is finished; else ``of`` (what is counted),
        ``unit``, ``chance`` (percent) and ``bins``: for each range, ``count`` (things in it) and
        ``accuracy`` (percent, a summary over the seeds).
    """
    found = _results(plan, config)
    if not found:
        return None
    first = next(iter(found.values()))
    seeds = [_bins(content) for content in found.values()]
    return {
        "of": first["of"],
        "unit": first["unit"],
        "chance": 100 * first["chance"],
        "bins": [
            {
                "range": label,
                "count": row["count"],
                "accuracy": asdict(summarize([bins[label] for bins in seeds if label in bins])),
            }
            for label, row in _labelled(first).items()
        ],
    }


def distance_pairs(plan: Plan, pair: Pair) -> list[Json]:
    """A row for each range: the paired difference in percent points, as those of AP are given."""
    base, model = (_results(plan, name) for name in (pair.baseline, pair.config))
    labels = [label for content in list(model.values())[:1] for label in _labelled(content)]
    rows = []
    for label in labels:
        differences = paired_differences(_of_range(base, label), _of_range(model, label))
        rows.append(
            {
                "baseline": pair.baseline,
                "config": pair.config,
                "range": label,
                "difference": asdict(summarize(list(differences.values()))),
                "by_seed": {str(seed): value for seed, value in differences.items()},
            }
        )
    return rows


def _results(plan: Plan, config: str) -> dict[int, Json]:
    """What each finished seed's result says, see `nonlocal_det.evaluation.accuracy_by_distance`."""
    results = {run.seed: run.result() for run in plan.runs if run.config == config}
    return {
        seed: result["by_distance"]
        for seed, result in results.items()
        if result and result.get("by_distance")
    }


def _of_range(results: Mapping[int, Json], label: str) -> dict[int, float]:
    bins = {seed: _bins(content) for seed, content in results.items()}
    return {seed: values[label] for seed, values in bins.items() if label in values}


def _bins(content: Json) -> Bins:
    rows = _labelled(content).items()
    return {label: 100 * r["accuracy"] for label, r in rows if r["accuracy"] is not None}


def _labelled(content: Json) -> dict[str, Json]:
    """All things, then those of each range, as "0.75-1" or "1+"."""
    rows = {"all": content["all"]}
    for row in content["bins"]:
        high = f"{row['low']:g}+" if row["high"] is None else f"{row['low']:g}-{row['high']:g}"
        rows[high] = row
    return rows
