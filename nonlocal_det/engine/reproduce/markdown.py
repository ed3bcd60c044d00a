"""``results.md`` from ``results.json``: what was measured, beside what the paper says."""

from collections.abc import Sequence

from .record import Json

INTRO = """Differences are paired: the non-local model minus its baseline twin under the same seed,
in AP points. The interval is the 95 % confidence interval of their mean by Student's t over the
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
    parts += ["## Runs", "", _runs(results["runs"]), "", *_origin(results)]
    return "\n".join(parts) + "\n"


def _pairs(pairs: Sequence[Json]) -> str:
    head = ["model", "metric", "baseline", "with non-local blocks"]
    head += ["difference, paired", "95 % interval", "seed by seed", "the paper's difference"]
    rows = [
        [
            f"`{row['config']}`",
            row["metric"],
            _spread(row["baseline_value"]),
            _spread(row["config_value"]),
            _number(row["difference"]["mean"], "+.2f"),
            _interval(row["difference"]["interval"]),
            ", ".join(f"{value:+.2f}" for value in row["by_seed"].values()) or "-",
            _number(row["paper_difference"], "+.1f"),
        ]
        for row in pairs
    ]
    return _table(head, rows, left=2)


def _models(models: Sequence[Json]) -> str:
    head = ["model", "runs", *models[0]["metrics"], "s/iter", "s/image", "memory, MiB"]
    rows = [
        [
            f"`{model['config']}`",
            str(max(value["count"] for value in model["metrics"].values())),
            *(_spread(value) for value in model["metrics"].values()),
            _number(model["s_per_iter"], ".3f"),
            _number(model["s_per_image"], ".3f"),
            _number(model["memory_mib"], ".0f"),
        ]
        for model in models
    ]
    return _table(head, rows, left=1)


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
        words = [f"`{result['command']}`" if result else "-", _cell(note) or "-"]
        rows.append([f"`{run['config']}`", str(run["seed"]), run["status"], *words])
    return _table(["model", "seed", "status", "command", "note"], rows, left=5)


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


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    rule = ["---"] * left + ["--:"] * (len(head) - left)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _spread(value: Json) -> str:
    if value["mean"] is None:
        return "-"
    std = "" if value["std"] is None else f" +- {value['std']:.2f}"
    return f"{value['mean']:.2f}{std}"


def _interval(value: Sequence[float] | None) -> str:
    return "-" if value is None else f"{value[0]:+.2f} .. {value[1]:+.2f}"
