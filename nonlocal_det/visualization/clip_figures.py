"""Clips with what a model says of them, and where a block attends over space and time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import ConnectionPatch

from .attention_figures import TOP_K, arrow_styles, heat_style, short_name
from .attention_maps import AttentionMap, describe_map
from .figure import OKABE_ITO, new_figure

FRAMES = 4
"""Frames of a clip on the contact sheet."""

COLUMNS = 8
"""Time steps side by side in a figure of attention; more go on in the next line."""

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


def clip_attention_figure(
    frames: np.ndarray,
    attention: AttentionMap,
    labels: Sequence[str] = (),
    *,
    top_k: int = TOP_K,
) -> Figure:
    """Draw a query of a clip: its weights as heat, as arrows, and their share of each time step.

    *Source*: the style of Wang et al., Non-local Neural Networks, Figure 3: an arrow from the query
    to each of the keys of the 20 largest weights, thicker for larger ones. Keys that the query
    cannot attend to, of a block over space, over time or within windows, are grey.

    Args:
        frames: RGB (T, H, W, 3), of any height and width.
        attention: of a query of this clip.
        labels: of the frames, as their times; none: their numbers.
        top_k: at most so many arrows.
    """
    shown, labels = _shown_frames(attention), labels or [str(k) for k in range(len(frames))]
    columns = min(len(shown), COLUMNS)
    lines = -(-len(shown) // columns)
    height, width = attention.placement.image_size
    side = 1.75 * min(max(height / width, 0.4), 2.5)
    figure = new_figure(max(1.9 * columns, 6.0), 2 * lines * (side + 0.3) + 2.0)
    grid = figure.add_gridspec(2 * lines + 1, columns, height_ratios=[side + 0.3] * 2 * lines + [1])
    cells = [grid[divmod(k, columns)] for k in range(2 * lines * columns)]
    heat, arrows = (
        [figure.add_subplot(cell) for cell in cells[first:][: len(shown)]]
        for first in (0, lines * columns)
    )
    for step, frame in enumerate(shown):
        for axis in (heat[step], arrows[step]):
            _paint_frame(axis, frames[frame], attention, step)
        _paint_keys(heat[step], attention, step)
        heat[step].set_title(labels[frame], fontsize=8)
    _paint_arrows(figure, arrows[attention.position[0]], arrows, attention, top_k)
    _paint_shares(figure.add_subplot(grid[-1, :]), attention, [labels[k] for k in shown])
    figure.suptitle(_title(attention, labels[int(attention.query[2])]), fontsize=9)
    return figure


def clip_attention_frames(
    frames: np.ndarray,
    attention: AttentionMap,
    labels: Sequence[str] = (),
    *,
    top_k: int = TOP_K,
) -> Iterator[np.ndarray]:
    """Draw a query of a clip as a film: its frame stands at the left, the clip runs at the right.

    Args:
        frames: RGB (T, H, W, 3), of any height and width.
        attention: of a query of this clip.
        labels: of the frames, as their times; none: their numbers.
        top_k: at most so many arrows.

    Yields:
        For each frame of the clip RGB pixels, uint8, of one size with even sides.
    """
    labels = labels or [str(k) for k in range(len(frames))]
    shown, edges = _shown_frames(attention), np.ceil(attention.placement.key_edges()[0])
    query = int(attention.query[2])
    height, width = attention.placement.image_size
    for step in range(len(shown)):
        figure = new_figure(8.0, min(max(4.0 * height / width, 1.6), 8.0) + 1.8)
        axes = figure.subplot_mosaic(
            [["query", "clip"], ["shares", "shares"]], height_ratios=[3.5, 1]
        )
        _paint_frame(axes["query"], frames[query], attention, attention.position[0])
        image = _paint_frame(axes["clip"], frames[shown[step]], attention, step)
        _paint_keys(axes["clip"], attention, step)
        targets: list[Axes | None] = [None] * len(shown)
        targets[step] = axes["clip"]
        _paint_arrows(figure, axes["query"], targets, attention, top_k)
        _paint_shares(axes["shares"], attention, [labels[k] for k in shown], step)
        axes["query"].set_title(f"from {labels[query]}", fontsize=9)
        figure.suptitle(short_name(attention.block), fontsize=9)
        for frame in range(int(edges[step]), min(int(edges[step + 1]), len(frames))):
            image.set_data(frames[frame])
            axes["clip"].set_title(labels[frame], fontsize=9)
            figure.canvas.draw()
            figure.set_layout_engine("none")  # once is enough
            pixels = np.asarray(figure.canvas.buffer_rgba())[:, :, :3]  # type: ignore[attr-defined]
            yield pixels[: len(pixels) // 2 * 2, : pixels.shape[1] // 2 * 2].copy()


def draw_over_time(attentions: Sequence[AttentionMap], labels: Sequence[str], path: Path) -> Path:
    """Write the share of each time step, a curve for each block, as a PNG.

    Args:
        attentions: of one query, one for each block.
        labels: of the clip's frames.
        path: the PNG to write.
    """
    figure = new_figure(7.0, 3.4)
    axis = figure.subplots()
    for attention in attentions:
        middles = attention.placement.key_centres()[0] - 0.5
        axis.plot(middles, attention.over_time, marker="o", label=short_name(attention.block))
    query = attentions[0].query
    axis.axvline(query[2], color="0.5", linestyle="--", linewidth=1)
    every = range(0, len(labels), -(-len(labels) // 8))
    axis.set_xticks(list(every), [labels[k].replace(", ", "\n") for k in every], fontsize=8)
    axis.set(ylim=(0, None), ylabel="share of the weight", xlim=(-0.5, len(labels) - 0.5))
    axis.set_title(f"from ({query[0]:g}, {query[1]:g}) in {labels[int(query[2])]}", fontsize=9)
    axis.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(path, dpi=120)
    return path


def _shown_frames(attention: AttentionMap) -> list[int]:
    """Return the frame that stands for each time step: the query's own, else the middle one."""
    frames = attention.placement.key_centres()[0].astype(int).tolist()
    frames[attention.position[0]] = int(attention.query[2])
    shown: list[int] = frames
    return shown


def _paint_frame(axis: Axes, frame: np.ndarray, attention: AttentionMap, step: int) -> AxesImage:
    """Paint a frame in the coordinates of the attention, with the query if it is in this step."""
    height, width = attention.placement.image_size
    image = axis.imshow(frame, extent=(0, width, height, 0))
    axis.axis("off")
    if step == attention.position[0]:
        x, y = attention.query_xy
        axis.plot(x, y, "o", markersize=5, color="white", markeredgecolor="black")
    axis.set(xlim=(0, width), ylim=(height, 0))
    return image


def _paint_keys(axis: Axes, attention: AttentionMap, step: int) -> None:
    """Paint the weights of a time step: a cell is a key, as it is; grey are those not visible."""
    _, ys, xs = attention.placement.key_edges()
    weights, visible = attention.weights[step], attention.visible[step]
    style = heat_style(attention, weights)
    style["alpha"] = np.where(visible, style["alpha"], 0)
    axis.pcolormesh(xs, ys, weights, **style)
    style |= {"cmap": "gray", "vmin": -1, "vmax": 1, "alpha": np.where(visible, 0, 0.75)}
    axis.pcolormesh(xs, ys, np.zeros_like(weights), **style)


def _paint_arrows(
    figure: Figure,
    origin: Axes,
    targets: Sequence[Axes | None],
    attention: AttentionMap,
    top_k: int,
) -> None:
    """Paint arrows from the query to its strongest keys, in the time steps that have axes."""
    edges = attention.placement.key_edges()[0]
    for point, style in arrow_styles(attention, top_k):
        target = targets[int(np.searchsorted(edges, point[2], "right")) - 1]
        if target is not None:
            arrow = ConnectionPatch(
                attention.query_xy, point[:2], "data", axesA=origin, axesB=target, **style
            )
            arrow.set_in_layout(False)
            figure.add_artist(arrow)


def _paint_shares(
    axis: Axes, attention: AttentionMap, labels: Sequence[str], current: int | None = None
) -> None:
    """Paint the share of each time step as bars; the query's is red, the current one framed."""
    shares, steps = attention.over_time, range(len(labels))
    visible = np.asarray(attention.visible.any(axis=(1, 2)))
    colors = [OKABE_ITO[5 if step == attention.position[0] else 4] for step in steps]
    bars = axis.bar(steps, shares, color=colors, width=0.6)
    for step, bar in enumerate(bars):
        bar.set_edgecolor("black" if step == current else "none")
        words = f"{shares[step]:.0%}" if visible[step] else "not seen"
        axis.text(step, shares[step], words, ha="center", va="bottom", fontsize=7)
    named = steps[:: -(-len(steps) // 16)]
    axis.set_xticks(named, [labels[step].replace(", ", "\n") for step in named], fontsize=6)
    axis.set(xlim=(-0.5, len(labels) - 0.5), ylim=(0, 1.25 * max(float(np.nanmax(shares)), 1e-9)))
    axis.set_ylabel("share", fontsize=8)
    axis.tick_params(axis="y", labelsize=7)


def _title(attention: AttentionMap, label: str) -> str:
    numbers = describe_map(attention)
    x, y = attention.query_xy
    return (
        f"{short_name(attention.block)} from ({x:g}, {y:g}) in {label}: {numbers['space']:.0%} in "
        f"its frame, {numbers['time']:.0%} at its place in others, {numbers['spacetime']:.0%} "
        f"elsewhere\nmean distance {numbers['distance_px']:.0f} pixels and "
        f"{numbers['distance_frames']:.1f} frames; entropy {numbers['entropy_share']:.0%} of the "
        "largest"
    )
