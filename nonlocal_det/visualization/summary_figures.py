"""The statistics of attention over a data set, a panel a question and a block beside the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .figures import new_figure
from .palette import OKABE_ITO
from .statistics import PLACES

Row = dict[str, Any]
PLACE_COLORS = dict(zip(PLACES, ("#E69F00", "#0072B2", "#999999", "#DDDDDD"), strict=True))


def draw_summary(queries: Sequence[Row], blocks: Sequence[Row], path: Path) -> Path:
    """Entropy, distance, where the mass is, and query independence, of each block.

    Args:
        queries: a row for each query and block, with `STATISTICS` and ``block``.
        blocks: a row for each block, with ``block`` and ``query_independence``.
        path: the PNG to write.

    Raises:
        ValueError: no blocks.
    """
    if not blocks:
        raise ValueError("no block to draw the attention of")
    names = [row["block"] for row in blocks]
    figure = new_figure(11, 7)
    panels = figure.subplots(2, 2).reshape(-1)
    for axis, key, title, top in (
        (panels[0], "entropy_share", "entropy, as a share of the largest possible", 1.02),
        (panels[1], "distance_px", "mean distance of where it looks, pixels", None),
    ):
        _boxes(axis, [[row[key] for row in queries if row["block"] == name] for name in names])
        axis.set_ylim(-0.02 if top else 0, top)
        axis.set_title(title, fontsize=10)
    _stacked(panels[2], queries, names)
    scores = [row["query_independence"] for row in blocks]
    panels[3].bar(range(len(names)), scores, color=OKABE_ITO[2])
    panels[3].axhline(0, color="black", linewidth=0.8)
    panels[3].set_ylim(min(0.0, float(np.nanmin([0.0, *scores])) * 1.1), 1.02)
    panels[3].set_title("query independence; at 1 a global context block would do", fontsize=10)
    for axis in panels:
        axis.set_xticks(range(len(names)), [_short(name) for name in names], fontsize=8)
        axis.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=110)
    return path


def _boxes(axis: Axes, values: list[list[float]]) -> None:
    finite = [[one for one in own if np.isfinite(one)] for own in values]
    drawn = axis.boxplot(finite, positions=range(len(finite)), widths=0.6, patch_artist=True)
    for box, median in zip(drawn["boxes"], drawn["medians"], strict=True):
        box.set_facecolor(OKABE_ITO[1])
        median.set_color("black")


def _stacked(axis: Axes, queries: Sequence[Row], names: Sequence[str]) -> None:
    bottom = np.zeros(len(names))
    for place in PLACES:
        means = []
        for name in names:
            own = [row[place] for row in queries if row["block"] == name]
            own = [one for one in own if np.isfinite(one)]
            means.append(float(np.mean(own)) if own else 0.0)
        axis.bar(range(len(names)), means, bottom=bottom, color=PLACE_COLORS[place], label=place)
        bottom = bottom + means
    axis.set_ylim(0, 1.18)
    axis.legend(loc="upper center", ncols=4, fontsize=8, frameon=False)
    axis.set_title("where its mass is, for queries at the centres of instances", fontsize=10)


def _short(name: str) -> str:
    return "\n".join(name.split(".")[-2:])
