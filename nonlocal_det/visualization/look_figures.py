"""Where a query looks, drawn: heat over the image, and arrows as in the paper's Figure 3."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .figures import new_figure
from .maps import AttentionMap
from .palette import HEAT, NEGATIVE, POSITIVE, SIGNED_HEAT

STYLES = ("heat", "arrows")
TOP_K = 20
"""Arrows of a query, as in the paper's Figure 3."""


def paint_heat(axis: Axes, image: np.ndarray, seen: AttentionMap) -> None:
    """The weights of a query as a heat map over the image.

    The dot product's weights have signs: its colours go from purple (below 0) over white to orange.

    Args:
        axis: to paint on.
        image: RGB pixels (H, W, 3).
        seen: where the query looks.
    """
    _begin(axis, image, seen)
    heat = seen.to_image(smooth=True)
    top = float(np.abs(seen.weights).max()) or 1.0
    height, width = image.shape[:2]
    axis.imshow(
        heat,
        extent=(0, width, height, 0),
        cmap=SIGNED_HEAT if seen.signed else HEAT,
        vmin=-top if seen.signed else 0,
        vmax=top,
        alpha=0.1 + 0.7 * np.abs(heat) / top,  # the image stays to be seen where it does not look
    )
    _frame(axis, image, seen)
    _mark_query(axis, seen)


def paint_arrows(axis: Axes, image: np.ndarray, seen: AttentionMap, top_k: int = TOP_K) -> None:
    """Arrows from the query to the positions it weighs most, thicker where it weighs more.

    *Source*: the style of Wang et al., Non-local Neural Networks, Figure 3. Weights below 0 (the
    dot product's) are blue and dashed. A position is the middle of its key's cells. Arrows that
    would be thinner than a hundredth of the thickest one are left out.

    Args:
        axis: to paint on.
        image: RGB pixels (H, W, 3).
        seen: where the query looks.
        top_k: at most so many arrows.
    """
    _begin(axis, image, seen)
    top = float(np.abs(seen.weights).max())
    strongest = [one for one in seen.strongest(top_k) if abs(one[1]) >= top / 100]
    for point, weight in reversed(strongest):  # the strongest one on top
        axis.annotate(
            "",
            xy=point,
            xytext=seen.query,
            arrowprops={
                "arrowstyle": "-|>",
                "linewidth": 0.3 + 3.7 * abs(weight) / top,
                "linestyle": "-" if weight > 0 else "--",
                "color": POSITIVE if weight > 0 else NEGATIVE,
                "shrinkA": 0,
                "shrinkB": 0,
                "mutation_scale": 9,
                "alpha": 0.9,
            },
        )
    _frame(axis, image, seen)
    _mark_query(axis, seen)


def figure_of_looks(
    image: np.ndarray,
    rows: Sequence[Sequence[AttentionMap]],
    *,
    styles: Sequence[str] = STYLES,
    top_k: int = TOP_K,
    titles: Sequence[str] = (),
) -> Figure:
    """A row of pictures for each query and style, a column for each block.

    Args:
        image: RGB pixels (H, W, 3); the maps are in its pixels.
        rows: for each query what each block, in the same order, makes of it.
        styles: of `STYLES`.
        top_k: at most so many arrows.
        titles: of the queries, as their joints' names.

    Returns:
        A matplotlib figure; 2.4 inches a picture.

    Raises:
        ValueError: nothing to draw, or a style that does not exist.
    """
    if not rows or not rows[0]:
        raise ValueError("no attention to draw; give at least one query and one block")
    for style in styles:
        if style not in STYLES:
            raise ValueError(f"style={style!r}; expected one of {', '.join(STYLES)}")
    figure = new_figure(2.4 * len(rows[0]), 2.55 * len(rows) * len(styles))
    axes = figure.subplots(len(rows) * len(styles), len(rows[0]), squeeze=False)
    for k, maps in enumerate(rows):
        for s, style in enumerate(styles):
            for axis, seen in zip(axes[k * len(styles) + s], maps, strict=True):
                if style == "heat":
                    paint_heat(axis, image, seen)
                else:
                    paint_arrows(axis, image, seen, top_k)
                title = f"{titles[k]}, {_short(seen.block)}" if titles else _short(seen.block)
                axis.set_title(title if s == 0 else "", fontsize=8)
    return figure


def draw_looks(
    image: np.ndarray,
    rows: Sequence[Sequence[AttentionMap]],
    path: Path,
    *,
    styles: Sequence[str] = STYLES,
    top_k: int = TOP_K,
    titles: Sequence[str] = (),
) -> Path:
    """Write `figure_of_looks` as a PNG.

    Args:
        image: RGB pixels (H, W, 3).
        rows: for each query what each block makes of it.
        path: the PNG to write.
        styles: of `STYLES`.
        top_k: at most so many arrows.
        titles: of the queries.
    """
    figure_of_looks(image, rows, styles=styles, top_k=top_k, titles=titles).savefig(path, dpi=130)
    return path


def _short(block: str) -> str:
    return ".".join(block.split(".")[-2:]) or "block"  # res4.nl4, keypoint_head.nl2


def _begin(axis: Axes, image: np.ndarray, seen: AttentionMap) -> None:
    if image.shape[:2] != seen.placement.image_size:
        raise ValueError(
            f"the image is {image.shape[1]} x {image.shape[0]} pixels, but attention was recorded "
            f"on one of {seen.placement.image_size[1]} x {seen.placement.image_size[0]}; give the "
            "image that the model was run on"
        )
    height, width = image.shape[:2]
    axis.imshow(image, extent=(0, width, height, 0))
    axis.axis("off")


def _mark_query(axis: Axes, seen: AttentionMap) -> None:
    axis.plot(*seen.query, marker="o", markersize=5, color="white", markeredgecolor="black")


def _frame(axis: Axes, image: np.ndarray, seen: AttentionMap) -> None:
    """Show the image, or of a RoI's block the region and a little around it."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = 0.0, 0.0, float(width), float(height)
    if seen.placement.is_roi:
        a, b, c, d = seen.placement.box
        margin = 0.08 * max(c - a, d - b)
        x0, y0, x1, y1 = max(x0, a - margin), max(y0, b - margin), c + margin, d + margin
        x1, y1 = min(x1, width), min(y1, height)
    axis.set_xlim(x0, x1)
    axis.set_ylim(y1, y0)
