"""Clips with what a model says of them, and where a block attends over space and time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import ConnectionPatch

from .attention_figures import TOP_K
from .figure import HEAT, OKABE_ITO, new_figure

FRAMES = 4
"""Frames of a clip on the contact sheet."""

Clip = tuple[np.ndarray, str, bool]
"""RGB frames (T, H, W, 3), a caption, and whether the model is right."""


def draw_clips(clips: Sequence[Clip], path: Path, columns: int = 2) -> Path:
    """Write a contact sheet: a few frames of each clip under its caption.

    Args:
        clips: to draw.
        path: the PNG to write.
        columns: clips side by side.
    """
    rows = -(-len(clips) // columns)
    figure = new_figure(1.2 * FRAMES * columns, 1.5 * rows)
    cells = figure.subplots(rows, FRAMES * columns, squeeze=False)
    for axis in cells.flat:
        axis.axis("off")
    for number, (frames, caption, right) in enumerate(clips):
        row, column = divmod(number, columns)
        axes = cells[row][column * FRAMES : (column + 1) * FRAMES]
        for axis, at in zip(axes, np.linspace(0, len(frames) - 1, FRAMES).round(), strict=True):
            axis.imshow(frames[int(at)])
        color = OKABE_ITO[2] if right else OKABE_ITO[5]
        axes[0].set_title(caption, fontsize=8, color=color, loc="left")
    figure.savefig(path, dpi=110)
    return path


def draw_clip_attention(
    frames: np.ndarray,
    weights: np.ndarray,
    query: tuple[int, float, float],
    path: Path,
    title: str = "",
) -> Path:
    """Write where one query position attends in all time steps: as heat, and as arrows.

    *Source*: the style of Wang et al., Non-local Neural Networks, Figure 3: an arrow goes to each
    of the keys of the 20 largest weights, thicker for larger ones.

    Args:
        frames: RGB (T, H, W, 3).
        weights: of the keys (T', Kh, Kw), not negative.
        query: the time step (of T'), and y and x as shares of height and width.
        path: the PNG to write.
        title: of the picture.
    """
    steps, rows, columns = weights.shape
    height, width = frames.shape[1:3]
    figure = new_figure(1.9 * steps, 4.6)
    axes = figure.subplots(2, steps, squeeze=False)
    time, y, x = query
    start = (x * width, y * height)
    for step in range(steps):
        frame = frames[int((step + 0.5) * len(frames) / steps)]
        for axis in axes[:, step]:
            axis.imshow(frame, extent=(0, width, height, 0))
            axis.axis("off")
            if step == time:
                axis.plot(*start, "o", markersize=5, color="white", markeredgecolor="black")
        axes[0][step].set_title(f"{weights[step].sum() / weights.sum():.0%}", fontsize=9)
        heat = weights[step] / weights.max()
        axes[0][step].imshow(
            heat,
            extent=(0, width, height, 0),
            cmap=HEAT,
            vmin=0,
            vmax=1,
            alpha=0.1 + 0.7 * heat,
            interpolation="bilinear",
        )
    for at in np.argsort(-weights, axis=None)[:TOP_K]:
        step, row, column = np.unravel_index(at, weights.shape)
        end = ((column + 0.5) * width / columns, (row + 0.5) * height / rows)
        size = 0.3 + 2.7 * float(weights.flat[at] / weights.max())
        _arrow(axes[1][time], start, axes[1][int(step)], end, size)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)
    return path


def _arrow(
    origin: Axes, start: tuple[float, float], target: Axes, end: tuple[float, float], width: float
) -> None:
    arrow = ConnectionPatch(
        start,
        end,
        "data",
        "data",
        axesA=origin,
        axesB=target,
        arrowstyle="-|>",
        linewidth=width,
        color=OKABE_ITO[5],
        mutation_scale=8,
        alpha=0.8,
    )
    arrow.set_in_layout(False)
    origin.figure.add_artist(arrow)
