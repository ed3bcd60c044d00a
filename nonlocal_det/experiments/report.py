"""``results.md``: what was measured, beside what the paper says; and the report of a rate grid."""

from collections.abc import Sequence

from nonlocal_det.training.result import write_json

from .markdown import markdown_table, number
from .plan import Plan
from .results import collect_results
from .run import Json

INTRO = """Differences are paired: the model minus what it is compared with under the same seed, in
points; of a log-loss in nats, where below 0 is better. The interval is the 95 % confidence interval
of their mean by Student's t over the seeds; "+-" is one standard deviation over the seeds. "-"
stands where nothing was measured, where one seed gives no spread, or where the paper has no number.
**The paper's** differences are the paper's, not measured here."""

DISTANCE = """Percent right of what was detected or classified, by its distance to the evidence; in
brackets, how many things are in each range. Then paired differences, in percent points or nats."""


def write_report(plan: Plan) -> str:
    """Write ``results.json`` and ``results.md`` from what has finished; return the markdown."""
    results = collect_results(plan)
    text = render_results(results)
    plan.output.mkdir(parents=True, exist_ok=True)
    write_json(plan.output / "results.json", results)
    (plan.output / "results.md").write_text(text)
    return text


def render_results(results: Json) -> str:
    """Render the whole document from the content of ``results.json``."""
    schedule = f", schedule {results['schedule']}" if results["schedule"] else ""
    finished = sum(run["status"] == "finished" for run in results["runs"])
    parts = [f"# Suite {results['suite']}{schedule}", INTRO]
    if results["mixed"]:
        lines = (f"- {line}" for line in results["mixed"])
        parts.append("\n".join(["**MIXED: these numbers are not all comparable.**", *lines]))
    if results["overrides"]:
        parts.append(f"Not the configs as they are: `{' '.join(results['overrides'])}`.")
    parts.append(f"{finished} of {len(results['runs'])} runs have finished.")
    parts += ["## Paired differences", _pairs(results["pairs"])]
    parts += ["## Models", _models(results["models"])]
    if with_distances := [model for model in results["models"] if model["by_distance"]]:
        parts += ["## Accuracy against distance", DISTANCE, _distances(with_distances)]
        parts.append(_distance_pairs(results["distance_pairs"]))
    origin = [f"- command: `{results['command']}`"]
    for key, what in (
        *((key, key) for key in ("commit", "versions", "hardware")),
        ("data", "data, sha256 of the annotations"),
    ):
        origin.append(f"- {what}: {'; '.join(results[key]) or '-'}")
    parts += ["## Runs", _runs(results["runs"]), "\n".join(origin)]
    return "\n\n".join(parts) + "\n"


def _pairs(pairs: Sequence[Json]) -> str:
    head = ["model", "against", "metric", "its value", "the model's", "difference, paired"]
    head += ["95 % interval", "seed by seed", "the paper's difference"]
    rows = [
        [
            f"`{row['config']}`",
            f"`{row['baseline']}`",
            row["metric"],
            _spread(row["baseline_value"]),
            _spread(row["config_value"]),
            *_difference(row),
            number(row["paper_difference"], "+.1f"),
        ]
        for row in pairs
    ]
    return markdown_table(head, rows, left=3)


def _models(models: Sequence[Json]) -> str:
    metrics = list(dict.fromkeys(metric for model in models for metric in model["metrics"]))
    head = ["model", "runs", *metrics, "learning rate", "M parameters", "GMAC"]
    head += ["s/iter", "s/image", "memory, MiB"]
    rows = [
        [
            f"`{model['config']}`",
            str(max(value["count"] for value in model["metrics"].values())),
            *(_spread(model["metrics"].get(metric)) for metric in metrics),
            f"{model['learning_rate']:g}",
            number(model["parameters"], ".2f", unit=1e6),
            number(model["multiply_adds"], ".2f", unit=1e9),
            number(model["s_per_iter"], ".3f"),
            number(model["s_per_image"], ".3f"),
            number(model["memory_mib"], ".0f"),
        ]
        for model in models
    ]
    return markdown_table(head, rows, left=1)


def _distances(models: Sequence[Json]) -> str:
    labels = list(dict.fromkeys(b["range"] for m in models for b in m["by_distance"]["bins"]))
    rows = []
    for model in models:
        content = model["by_distance"]
        of = f"{content['of']}, by {content['unit'].replace('_', ' ')}"
        for key in ("accuracy", "log_loss"):
            cells = {b["range"]: f"{_spread(b.get(key))} ({b['count']})" for b in content["bins"]}
            if all(key in b for b in content["bins"]):
                row = [f"`{model['config']}`", of, key.replace("_", "-"), f"{content['chance']:g}"]
                rows.append([*row, *(cells.get(label, "-") for label in labels)])
    return markdown_table(["model", "of", "measure", "chance", *labels], rows, left=3)


def _distance_pairs(pairs: Sequence[Json]) -> str:
    head = ["model", "against", "measure", "range"]
    head += ["difference, paired", "95 % interval", "seed by seed"]
    rows = [
        [
            *(f"`{row[key]}`" for key in ("config", "baseline")),
            *(row[key] for key in ("measure", "range")),
            *_difference(row),
        ]
        for row in pairs
    ]
    return markdown_table(head, rows, left=4)


def _runs(runs: Sequence[Json]) -> str:
    rows = []
    for run in runs:
        result = run["result"] or {}
        note = run["error"] if run["status"] != "finished" else ""
        if result.get("first_iteration"):
            # results of an older version do not say; then Detectron2 started its images anew
            inexact = result.get("inexact", ["other images and random numbers from there"])
            how = "exactly: the images and random numbers of an uninterrupted run"
            note = f"resumed at iteration {result['first_iteration']}; " + (
                f"not exactly: {'; '.join(inexact)}" if inexact else how
            )
        command = f"`{result['command']}`" if result else "-"
        note = note.replace("|", "\\|").replace("\n", " ") or "-"
        rows.append([f"`{run['config']}`", str(run["seed"]), run["status"], command, note])
    return markdown_table(["model", "seed", "status", "command", "note"], rows, left=5)


def _spread(summary: Json | None) -> str:
    """Mean and standard deviation of a `summarize`."""
    if summary is None or summary["mean"] is None:
        return "-"
    std = "" if summary["std"] is None else f" +- {summary['std']:.2f}"
    return f"{summary['mean']:.2f}{std}"


def _difference(row: Json) -> list[str]:
    """Mean, interval and the single values."""
    ends = row["difference"]["interval"]
    return [
        number(row["difference"]["mean"], "+.2f"),
        "-" if ends is None else f"{ends[0]:+.2f} .. {ends[1]:+.2f}",
        ", ".join(f"{value:+.2f}" for value in row["by_seed"].values()) or "-",
    ]
