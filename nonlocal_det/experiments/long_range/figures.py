"""The figures of the long-range suite from its ``results.json``, and from its checkpoints."""

import math
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from nonlocal_det.analysis import detection_reach
from nonlocal_det.experiments.run import Json
from nonlocal_det.model_zoo.models import build_config
from nonlocal_det.visualization import Curve, draw_accuracy, new_figure

from .attention import CHECKPOINT, draw_attention, find_seeds
from .comparisons import LABELS, Comparison, find_comparisons, read_suite, same_data


def draw_long_range(results: Path, out: Path, only: str = "", image_id: int = 0) -> list[str]:
    """Draw accuracy against distance, and the models' attention where their checkpoints are.

    Args:
        results: the suite's ``results.json``; checkpoints lie beside it, in CONFIG/seedN.
        out: the folder to draw into; made if absent.
        only: keep the comparisons that have this in their name.
        image_id: of the test image whose attention is drawn; 0: see `find_query`.

    Returns:
        Sentences: what was drawn, and what was left out and why.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a file, or its runs are not of the same data.
    """
    suite = read_suite(results)
    if suite["runs"][0]["by_distance"]["unit"] == "frames":
        return [f"accuracy and log-loss against the gap: {draw_gaps(suite['runs'], out)}"]
    comparisons = find_comparisons(suite, only)
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for comparison in comparisons:
        runs = comparison.runs(suite)
        data = same_data(list(chain(*runs.values())))
        reach = _reach(suite, comparison, data)
        path = out / f"accuracy_{comparison.name}.png"
        joints = data["of"] == "limb joints"
        draw_accuracy(
            [_curve(role, runs_of_role) for role, runs_of_role in runs.items()],
            path,
            chance=data["chance"],
            reach=reach / data["receptive_field"],
            title=f"{comparison.name}: {data['all']['count']} {data['of']}",
            ylabel=(
                "on its own side, of the joints found"
                if joints
                else "right category, of those found"
            ),
        )
        lines.append(f"accuracy against distance: {path}")
        seeds = find_seeds(suite, comparison, results.parent)
        if not seeds:
            lines.append(
                f"{comparison.name}: not all models have a {CHECKPOINT} under one seed beside "
                f"{results}, so their attention is not drawn"
            )
            continue
        path = out / f"looks_{comparison.name}.png"
        draw_attention(suite, comparison, seeds, results.parent, path, image_id, reach)
        lines.append(f"attention of one query, seeds {', '.join(map(str, seeds))}: {path}")
    return lines


def draw_gaps(runs: Sequence[Json], out: Path) -> Path:
    """Draw accuracy and log-loss against the gap in frames, a line a model, a point a seed.

    Args:
        runs: of `read_suite`, of data whose gaps are in frames.
        out: the folder to draw into; made if absent.

    Returns:
        The PNG ``accuracy_by_gap.png``.
    """
    out.mkdir(parents=True, exist_ok=True)
    figure = new_figure(8.6, 4.4)
    right, loss = figure.subplots(1, 2)
    models = dict.fromkeys(run["config"] for run in runs)
    for number, config in enumerate(models):
        bins = [run["by_distance"]["bins"] for run in runs if run["config"] == config]
        gaps = np.array([row["low"] for row in bins[0]]) + 0.12 * (number - len(models) / 2)
        for axis, key, unit in ((right, "accuracy", 100), (loss, "log_loss", 1)):
            values = unit * np.array([[row[key] for row in rows] for rows in bins])  # (seeds, B)
            label = f"{config.rsplit('/', 1)[-1]} ({len(bins)} seeds)" if axis is right else None
            (line,) = axis.plot(gaps, values.mean(axis=0), marker="o", markersize=4, label=label)
            for seed in values:
                axis.plot(gaps, seed, linestyle="", marker=".", color=line.get_color(), alpha=0.4)
    loss.axhline(math.log(2), color="0.4", linestyle="--", linewidth=1)
    loss.text(2, math.log(2) + 0.03, "ln 2: the bound without reach", fontsize=8)
    right.set(xlabel="gap in frames", ylabel="right, percent", ylim=(0, 103))
    loss.set(xlabel="gap in frames", ylabel="log-loss, nats", ylim=(0, 0.8))
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    path = out / "accuracy_by_gap.png"
    figure.savefig(path, dpi=150)
    return path


def _reach(suite: Json, comparison: Comparison, data: Json) -> float:
    """Pixels that a detection sees without a block, in a region of the objects' median size."""
    config = next(iter(comparison.configs.values()))
    model = build_config(config, suite["overrides"], device="meta")
    reach = detection_reach(model, *data["object_size"])
    return reach.keypoint if data["of"] == "limb joints" and reach.keypoint else reach.box


def _curve(role: str, runs: Sequence[Json]) -> Curve:
    bins = [[row for row in run["by_distance"]["bins"] if row["count"]] for run in runs]
    distances = np.array([row["mean_distance"] for row in bins[0]])
    seeds = [
        np.array([math.nan if row["accuracy"] is None else row["accuracy"] for row in rows])
        for rows in bins
    ]
    return Curve(LABELS[role], distances, seeds, style=list(LABELS).index(role))
