"""From the results of a suite to the ``measured`` numbers of the zoo's rows."""

from collections.abc import Sequence
from typing import Any

from .rows import Row, config_sha256

TASKS = ("box", "mask", "keypoint")
METRICS = ("AP", "AP50", "AP75")
Json = dict[str, Any]


def with_results(rows: Sequence[Row], results: Json) -> list[Row]:
    """The rows with what a suite has measured in place of what was measured before.

    A row's ``measured`` then has, where the suite has them: for each task ``[AP, AP50, AP75]``,
    the means over the seeds; ``std``, the same of the standard deviations; ``paired``, for each
    task the ``mean`` difference of AP to the baseline under equal seeds, its 95 % interval
    ``ci95`` and the number of ``seeds``; ``over_control``, the same to the row's control of equal
    cost; ``by_distance``, ``chance`` and the accuracy in each of ``bins`` in percent, and in the
    last of them the difference ``farthest_over_control``; ``learning_rate``, ``seeds``,
    ``s_per_iter``, ``s_per_image``, ``memory_mib``, ``command``, ``commit``, ``hardware``,
    ``versions``, ``schedule`` and the ``config_sha256`` of now.

    Args:
        rows: of the zoo.
        results: the content of the ``results.json`` of `tools/reproduce.py`.

    Returns:
        New rows; those of models that a seed of the suite is missing for are as they were.

    Raises:
        ValueError: the results mix commits, configs or data, or are of changed configs (KEY VALUE
            overrides), so that they are not the rows' models; or no model is finished.
    """
    for key, what in (("mixed", "mix"), ("overrides", "have the overrides")):
        if results.get(key):
            raise ValueError(
                f"{key}={results[key]}: these results of suite {results['suite']!r} {what} that, "
                "so they are not those of the zoo's rows; run the suite anew without it"
            )
    count = len(results["seeds"])
    found = {m["config"]: m for m in results["models"] if _is_finished(m, count)}
    if not found:
        raise ValueError(
            f"suite {results['suite']!r}: no model is finished under all of the seeds "
            f"{results['seeds']}, so nothing is measured"
        )
    unknown = sorted(found.keys() - {row["config"] for row in rows})
    if unknown:
        raise ValueError(f"suite {results['suite']!r}: {unknown} are no rows of the zoo")
    by_name = {row["config"]: row for row in rows}
    measured = {name: _measured(by_name[name], m, results) for name, m in found.items()}
    return [{**row, "measured": measured.get(row["config"], row["measured"])} for row in rows]


def _is_finished(model: Json, seeds: int) -> bool:
    return any(_value(model, f"{task} AP", "count") == seeds for task in _tasks(model))


def _tasks(model: Json) -> list[str]:
    return [task for task in TASKS if f"{task} AP" in model["metrics"]]


def _value(model: Json, metric: str, field: str) -> float | None:
    value: float | None = model["metrics"][metric][field]
    return value


def _measured(row: Row, model: Json, results: Json) -> Json:
    tasks = _tasks(model)

    def triples(field: str) -> Json:
        found = {t: [_value(model, f"{t} {metric}", field) for metric in METRICS] for t in tasks}
        return {task: triple for task, triple in found.items() if None not in triple}

    measured = {
        **triples("mean"),
        "std": triples("std"),
        "paired": _paired(row, row["baseline"], results),
        "over_control": _paired(row, row.get("control"), results),
        "by_distance": _distance(row, model, results),
        "learning_rate": model.get("learning_rate"),
        "seeds": results["seeds"],
        "s_per_iter": model.get("s_per_iter"),
        "s_per_image": model.get("s_per_image"),
        "memory_mib": model.get("memory_mib"),
        "command": results["command"],
        "schedule": results.get("schedule"),
        "config_sha256": config_sha256(model["config"]),
    }
    measured |= {key: "; ".join(results[key]) for key in ("commit", "hardware", "versions")}
    return {key: value for key, value in measured.items() if value not in (None, "", {})}


def _paired(row: Row, other: str | None, results: Json) -> Json:
    """The difference of AP to another config, by task; empty where there is none."""
    found = {}
    for pair in results["pairs"]:
        task, metric = pair["metric"].rsplit(" ", 1)
        difference = pair["difference"]
        if _is_of(pair, row, other) and metric == "AP" and difference["count"]:
            found[task] = _short(difference)
    return found


def _is_of(pair: Json, row: Row, other: str | None) -> bool:
    return bool(pair["config"] == row["config"] and pair["baseline"] == other)


def _short(difference: Json) -> Json:
    return {
        "mean": difference["mean"],
        "ci95": difference["interval"],
        "seeds": difference["count"],
    }


def _distance(row: Row, model: Json, results: Json) -> Json:
    """Mean and spread of each range, farthest last, and the difference to the control there."""
    content = model.get("by_distance")
    if not content:
        return {}
    bins = [
        {key: b[key] for key in ("range", "count")}
        | {key: b["accuracy"][key] for key in ("mean", "std")}
        for b in content["bins"]
    ]
    found = {"chance": content["chance"], "bins": bins}
    for pair in results["distance_pairs"]:
        difference = pair["difference"]
        last = pair["range"] == bins[-1]["range"] and difference["count"]
        if last and _is_of(pair, row, row.get("control")):
            found["farthest_over_control"] = _short(difference)
    return found
