"""``results.md`` from ``results.json``: what was measured, beside what the paper says."""

from collections.abc import Sequence

from .cells import NOTHING, cell, difference, number, scaled, spread, table
from .distance_tables import distance_tables
from .record import Json

INTRO = """Differences are paired: the model minus what it is compared with under the same seed, in
AP points. The interval is the 95 % confidence interval of their mean by Student's t over the
seeds; "+-" is one standard deviation over the seeds. "-" stands where nothing was measured, where
one seed gives no spread, or where the paper has no number. **The paper's** differences are the
paper's, not measured here."""


def render(results: Json) -> str:
    """The whole document."""
    schedule = f", schedule {results['schedule']}" if results["schedule"] else ""
    finished = sum(run["status"] == "finished" for run in results["runs"])
    parts = [f"# Suite {results['suite']}{schedule}", "", INTRO, ""]
    if results["mixed"]:
        parts += ["**MIXED: these numbers are not all comparable.**"]
        parts += [*(f"- {line}" for line in results["mixed"]), ""]
    if results["overrides"]:
        parts += [f"Not the configs as they are: `{' '.join(results['overrides'])}`.", ""]
    parts += [f"{finished} of {len(results['runs'])} runs have finished.", ""]
    parts += ["## Paired differences", "", _pairs(results["pairs"]), ""]
    parts += ["## Models", "", _models(results["models"]), ""]
    parts += distance_tables(results["models"], results["distance_pairs"])
    parts += ["## Runs", "", _runs(results["runs"]), "", *_origin(results)]
    return "\n".join(parts) + "\n"


def _pairs(pairs: Sequence[Json]) -> str:
    head = ["model", "against", "metric", "its value", "the model's", "difference, paired"]
    head += ["95 % interval", "seed by seed", "the paper's difference"]
    rows = [
        [
            f"`{row['config']}`",
            f"`{row['baseline']}`",
            row["metric"],
            spread(row["baseline_value"]),
            spread(row["config_value"]),
            *difference(row),
            number(row["paper_difference"], "+.1f"),
        ]
        for row in pairs
    ]
    return table(head, rows, left=3)


def _models(models: Sequence[Json]) -> str:
    metrics = list(dict.fromkeys(metric for model in models for metric in model["metrics"]))
    head = ["model", "runs", *metrics, "learning rate", "M parameters", "GMAC"]
    head += ["s/iter", "s/image", "memory, MiB"]
    rows = [
        [
            f"`{model['config']}`",
            str(max(value["count"] for value in model["metrics"].values())),
            *(spread(model["metrics"].get(metric, NOTHING)) for metric in metrics),
            f"{model['learning_rate']:g}",
            number(scaled(model["parameters"], 1e6), ".2f"),
            number(scaled(model["multiply_adds"], 1e9), ".2f"),
            number(model["s_per_iter"], ".3f"),
            number(model["s_per_image"], ".3f"),
            number(model["memory_mib"], ".0f"),
        ]
        for model in models
    ]
    return table(head, rows, left=1)


def _runs(runs: Sequence[Json]) -> str:
    rows = []
    for run in runs:
        result = run["result"] or {}
        note = run["error"] if run["status"] != "finished" else ""
        if result.get("first_iteration"):
            # older results do not say; then Detectron2 started its images anew
            inexact = result.get("inexact", ["the images and chance are not its twin's from there"])
            how = "exactly: the images and chance of an uninterrupted run"
            note = f"resumed at iteration {result['first_iteration']}; " + (
                f"not exactly: {'; '.join(inexact)}" if inexact else how
            )
        words = [f"`{result['command']}`" if result else "-", cell(note) or "-"]
        rows.append([f"`{run['config']}`", str(run["seed"]), run["status"], *words])
    return table(["model", "seed", "status", "command", "note"], rows, left=5)


def _origin(results: Json) -> list[str]:
    def said(key: str) -> str:
        return "; ".join(results[key]) or "-"

    return [
        f"- command: `{results['command']}`",
        f"- commit: {said('commit')}",
        f"- versions: {said('versions')}",
        f"- hardware: {said('hardware')}",
        f"- data, sha256 of the annotations: {said('data')}",
    ]
