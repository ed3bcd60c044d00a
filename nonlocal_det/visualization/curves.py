"""Curves: losses over the iterations, and accuracy against the distance to the evidence."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .figure import new_figure

# Okabe and Ito's colours, which the colour-blind tell apart; a marker each, for print.
STYLES = (("#000000", "s"), ("#D55E00", "^"), ("#009E73", "D"), ("#0072B2", "o"))


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read the rows of a ``metrics.json``, one per logged iteration; of several runs the last.

    Detectron2 appends to the file: losses whose iteration is not above those before begin another
    run, or continue a resumed one. An evaluation between two of them is written after the later.
    """
    rows: list[dict[str, float]] = []
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if "total_loss" in row:
            rows = [earlier for earlier in rows if earlier["iteration"] < row["iteration"]]
        rows.append(row)
    return sorted(rows, key=lambda row: row["iteration"])


def draw_losses(rows: Sequence[dict[str, float]], path: Path) -> Path:
    """Draw the total loss and its parts, of `read_metrics`, on a logarithmic scale as a PNG."""
    names = sorted({key for row in rows for key in row if key.startswith("loss_")})
    figure = new_figure(8, 4.5)
    axis = figure.subplots()
    validation = sorted({k for row in rows for k in row if k.endswith("validation/total_loss")})
    for name in ["total_loss", *names, *validation]:
        points = [(row["iteration"], row[name]) for row in rows if name in row]
        width = 2.5 if name.endswith("total_loss") else 1.2
        marker = "." if name in validation else ""
        axis.plot(*zip(*points, strict=True), marker=marker, label=name, linewidth=width)
    axis.set(yscale="log", xlabel="iteration", ylabel="loss")
    axis.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=110)
    return path


@dataclass(frozen=True)
class Curve:
    """The accuracy of one model under several seeds.

    Attributes:
        label: its name.
        distances: (B,) of the bins, in the figure's unit.
        seeds: for each seed the accuracies (B,), nan where a bin is empty.
        style: index in `STYLES`.
    """

    label: str
    distances: np.ndarray
    seeds: Sequence[np.ndarray]
    style: int


def draw_accuracy(
    curves: Sequence[Curve],
    path: Path,
    *,
    chance: float,
    reach: float | None = None,
    title: str = "",
    ylabel: str = "right category, of the detected",
) -> Path:
    """Draw the mean over the seeds as a line, each seed as small points.

    Args:
        curves: at least one.
        path: the PNG to write.
        chance: the accuracy of a guess, dashed; one receptive field is dotted.
        reach: the distance up to which a detection without a block can see the evidence; shaded.
        title: above.
        ylabel: of the accuracies.
    """
    figure = new_figure(6.4, 4.2)
    axis = figure.subplots()
    last = max(float(curve.distances.max()) for curve in curves) * 1.05
    if reach is not None:
        axis.axvspan(0, reach, color="0.93", zorder=0)
        words = f"within the reach of a \ndetection without a block \n(up to {reach:.2f}) "
        axis.text(reach, 0.02, words, ha="right", fontsize=8, color="0.35")
    axis.axhline(chance, color="0.4", linestyle="--", linewidth=1, zorder=1)
    axis.text(1.01, chance, "chance", va="center", fontsize=8, transform=axis.get_yaxis_transform())
    axis.axvline(1, color="0.6", linestyle=":", linewidth=1, zorder=1)
    for curve in curves:
        color, marker = STYLES[curve.style]
        values = np.stack(curve.seeds)  # (seeds, B)
        filled = ~np.isnan(values).all(axis=0)
        label = f"{curve.label} ({len(values)} seed{'s' * (len(values) > 1)})"
        means = np.nanmean(values[:, filled], axis=0)
        (line,) = axis.plot(curve.distances[filled], means, color=color, marker=marker, label=label)
        line.set(markersize=6, linewidth=1.8, zorder=3)
        for seed in values if len(values) > 1 else ():
            axis.plot(curve.distances, seed, linestyle="", marker=".", color=color, alpha=0.45)
    xlabel = "distance to the evidence, in receptive fields of the backbone"
    axis.set(xlim=(0, last), ylim=(0, 1.03), xlabel=xlabel, ylabel=ylabel, title=title)
    axis.title.set_fontsize(10)
    axis.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    figure.savefig(path, dpi=150)
    return path
