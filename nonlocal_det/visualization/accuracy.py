"""Accuracy against the distance to the evidence, one line an arm."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from .figures import new_figure

# Okabe and Ito's colours, which the colour-blind tell apart; a marker each, for print.
STYLES = (("#000000", "s"), ("#D55E00", "^"), ("#009E73", "D"), ("#0072B2", "o"))


@dataclass(frozen=True)
class Curve:
    """One arm.

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
    xlabel: str = "distance to the evidence, in receptive fields of the backbone",
    ylabel: str = "right category, of the detected",
) -> Path:
    """The mean over the seeds as a line, each seed as a small point.

    Args:
        curves: at least one.
        path: the PNG to write.
        chance: the accuracy of a guess, dashed; one receptive field is dotted.
        reach: the distance up to which a detection without a block can see the evidence; shaded.
        title: above.
        xlabel: of the distances.
        ylabel: of the accuracies.
    """
    figure = new_figure(6.4, 4.2)
    axis = figure.subplots()
    last = max(float(curve.distances.max()) for curve in curves) * 1.05
    if reach is not None:
        axis.axvspan(0, reach, color="0.93", zorder=0)
        shown = f"within the reach of a \ndetection without a block \n(up to {reach:.2f}) "
        axis.text(reach, 0.02, shown, ha="right", fontsize=8, color="0.35")
    axis.axhline(chance, color="0.4", linestyle="--", linewidth=1, zorder=1)
    axis.text(1.01, chance, "chance", va="center", fontsize=8, transform=axis.get_yaxis_transform())
    axis.axvline(1, color="0.6", linestyle=":", linewidth=1, zorder=1)
    for curve in curves:
        _draw_curve(axis, curve)
    axis.set(xlim=(0, last), ylim=(0, 1.03), xlabel=xlabel, ylabel=ylabel, title=title)
    axis.title.set_fontsize(10)
    axis.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    figure.savefig(path, dpi=150)
    return path


def _draw_curve(axis: Axes, curve: Curve) -> None:
    color, marker = STYLES[curve.style]
    values = np.stack(curve.seeds)  # (seeds, B)
    filled = ~np.isnan(values).all(axis=0)
    count = f"{len(values)} seed{'s' * (len(values) > 1)}"
    axis.plot(
        curve.distances[filled],
        np.nanmean(values[:, filled], axis=0),
        color=color,
        marker=marker,
        markersize=6,
        linewidth=1.8,
        label=f"{curve.label} ({count})",
        zorder=3,
    )
    if len(values) > 1:
        for seed in values:
            axis.plot(curve.distances, seed, linestyle="", marker=".", color=color, alpha=0.45)
