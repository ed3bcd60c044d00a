"""The computed fields of the zoo's rows: costs, config hashes, and what a suite has measured."""

from collections.abc import Sequence
from dataclasses import asdict

from nonlocal_det.analysis import Cost, Setting, detector_costs
from nonlocal_det.configs import config_hash, load_config
from nonlocal_det.model_zoo.rows import TASKS, Row

from .run import Json


def refresh_row(row: Row) -> Row:
    """Compute ``config_hash`` and ``cost`` anew: with the kernels chosen on the CPU.

    A config without proposals has no ``cost``: that of a detector is an image's.
    """
    name = row["config"]
    if not load_config(name).MODEL.META_ARCHITECTURE.endswith("RCNN"):
        return {**row, "config_hash": config_hash(load_config(name))}
    report = detector_costs(load_config(name), name)
    cost = {
        "device": report.device,
        "setting": asdict(report.inference),
        "total": asdict(report.total),
        "nl_blocks": asdict(report.all_blocks),
    }
    return {**row, "config_hash": config_hash(load_config(name)), "cost": cost}


def costs_of(row: Row) -> tuple[str, Setting, Cost, Cost]:
    """Return name, setting, total cost and cost of the NL blocks, as a row holds them."""
    cost = row["cost"]
    total, blocks = Cost(**cost["total"]), Cost(**cost["nl_blocks"])
    return row["config"], Setting(**cost["setting"]), total, blocks


def with_results(rows: Sequence[Row], results: Json) -> list[Row]:
    """Replace the rows' ``measured`` by what a suite has measured.

    ``measured`` then has, where the suite has them: for each task its metrics, as ``[AP, AP50,
    AP75]``, the means over the seeds; ``std``, the same of the standard deviations; ``paired``, for
    each task the ``mean`` difference of its first metric to the baseline under equal seeds, its
    95 % interval ``ci95`` and the number of ``seeds``; ``over_control``, the same to the row's
    control of equal cost; ``by_distance``, ``chance`` and the accuracy in each of ``bins`` in
    percent (and perhaps the mean ``log_loss``), and in the last of them the difference
    ``farthest_over_control``; ``learning_rate``, ``seeds``, ``s_per_iter``, ``s_per_image``,
    ``memory_mib``, ``command``, ``commit``, ``hardware``, ``versions``, ``schedule`` and the
    ``config_hash`` of now.

    Args:
        rows: of the zoo.
        results: the content of the ``results.json`` of ``tools/reproduce.py``.

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
    finished = {
        model["config"]: model
        for model in results["models"]
        if len(results["seeds"])
        == max(value["count"] for key, value in model["metrics"].items() if _is_first(key))
    }
    if not finished:
        raise ValueError(
            f"suite {results['suite']!r}: no model is finished under all of the seeds "
            f"{results['seeds']}, so nothing is measured"
        )
    if unknown := sorted(finished.keys() - {row["config"] for row in rows}):
        raise ValueError(f"suite {results['suite']!r}: {unknown} are no rows of the zoo")
    return [
        {**row, "measured": _measured(row, finished[row["config"]], results)}
        if row["config"] in finished
        else row
        for row in rows
    ]


def _measured(row: Row, model: Json, results: Json) -> Json:
    def triples(field: str) -> Json:
        metrics = {key: value[field] for key, value in model["metrics"].items()}
        all_tasks = {
            task: [metrics.get(f"{task} {m}") for m in TASKS[task].metrics] for task in TASKS
        }
        return {task: triple for task, triple in all_tasks.items() if None not in triple}

    measured = {
        **triples("mean"),
        "std": triples("std"),
        "paired": _differences(row, row["baseline"], results),
        "over_control": _differences(row, row.get("control"), results),
        "by_distance": _by_distance(row, model, results),
        "learning_rate": model.get("learning_rate"),
        "seeds": results["seeds"],
        **{key: model.get(key) for key in ("s_per_iter", "s_per_image", "memory_mib")},
        "command": results["command"],
        "schedule": results.get("schedule"),
        "config_hash": config_hash(load_config(row["config"])),
    }
    measured |= {key: "; ".join(results[key]) for key in ("commit", "hardware", "versions")}
    return {key: value for key, value in measured.items() if value not in (None, "", {})}


def _differences(row: Row, other: str | None, results: Json) -> Json:
    """The difference of the first metric to another config, by task; empty where there is none."""
    return {
        pair["metric"].split()[0]: short
        for pair in results["pairs"]
        if _is_first(pair["metric"]) and (short := _difference(pair, row, other))
    }


def _is_first(metric: str) -> bool:
    """Tell whether a metric, as "box AP", is the one that decides in its task."""
    task, name = metric.split()
    return TASKS[task].metrics[0] == name


def _difference(pair: Json, row: Row, other: str | None) -> Json | None:
    """Mean, interval and number of seeds if the pair is of these two, and measured."""
    difference = pair["difference"]
    if (pair["config"], pair["baseline"]) != (row["config"], other) or not difference["count"]:
        return None
    ends, count = difference["interval"], difference["count"]
    return {"mean": difference["mean"], "ci95": ends, "seeds": count}


def _by_distance(row: Row, model: Json, results: Json) -> Json:
    """Mean and spread of each range, farthest last, and the difference to the control there."""
    content = model.get("by_distance")
    if not content:
        return {}
    bins = [
        {
            **{key: b[key] for key in ("range", "count")},
            **{key: b["accuracy"][key] for key in ("mean", "std")},
            **({"log_loss": b["log_loss"]["mean"]} if "log_loss" in b else {}),
        }
        for b in content["bins"]
    ]
    measured = {"chance": content["chance"], "bins": bins}
    for pair in results["distance_pairs"]:
        is_farthest = (pair.get("measure", "right"), pair["range"]) == ("right", bins[-1]["range"])
        if is_farthest and (short := _difference(pair, row, row.get("control"))):
            measured["farthest_over_control"] = short
    return measured
