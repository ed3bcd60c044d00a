"""Attention maps drawn as heat and as arrows, and their statistics over a data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .attention_maps import PLACES, AttentionMap
from .figure import HEAT, NEGATIVE, OKABE_ITO, POSITIVE, SIGNED_HEAT, new_figure

STYLES = ("heat", "arrows")
TOP_K = 20
"""Arrows of a query, as in the paper's Figure 3."""

Row = dict[str, Any]
PLACE_COLORS = dict(zip(PLACES, ("#E69F00", "#0072B2", "#999999", "#DDDDDD"), strict=True))


def paint_heat(axis: Axes, image: np.ndarray, attention: AttentionMap) -> None:
    """Paint the weights of a query as a heat map over the image, RGB pixels (H, W, 3).

    The dot product's weights have signs: its colours go from purple (below 0) over white to orange.

    Raises:
        ValueError: the image has another size than the one that attention was recorded on.
    """
    _paint_image(axis, image, attention)
    heat = attention.to_image(smooth=True)
    height, width = image.shape[:2]
    axis.imshow(heat, extent=(0, width, height, 0), **heat_style(attention, heat))
    _frame(axis, image, attention)


def heat_style(attention: AttentionMap, heat: np.ndarray) -> dict[str, Any]:
    """Return how weights, of any shape, are coloured: on one scale for all of the map."""
    top = float(np.abs(attention.weights).max()) or 1.0
    return {
        "cmap": SIGNED_HEAT if attention.signed else HEAT,
        "vmin": -top if attention.signed else 0,
        "vmax": top,
        "alpha": 0.1 + 0.7 * np.abs(heat) / top,  # where the weight is small, the image is visible
    }


def arrow_styles(attention: AttentionMap, top_k: int) -> list[tuple[Any, dict[str, Any]]]:
    """Return where the arrows of `paint_arrows` end, and how they look; the strongest last."""
    top = float(np.abs(attention.weights).max())
    return [
        (
            point,
            {
                **{"arrowstyle": "-|>", "mutation_scale": 9, "alpha": 0.9},
                **{"shrinkA": 0, "shrinkB": 0, "linewidth": 0.3 + 3.7 * abs(weight) / top},
                "linestyle": "-" if weight > 0 else "--",
                "color": POSITIVE if weight > 0 else NEGATIVE,
            },
        )
        for point, weight in reversed(attention.strongest(top_k))
        if abs(weight) >= top / 100
    ]


def paint_arrows(
    axis: Axes, image: np.ndarray, attention: AttentionMap, top_k: int = TOP_K
) -> None:
    """Paint arrows from the query to the keys of the largest weights, thicker for larger ones.

    *Source*: the style of Wang et al., Non-local Neural Networks, Figure 3. Weights below 0 (the
    dot product's) are blue and dashed. An arrow ends at the centre of its key. Arrows that would be
    thinner than a hundredth of the thickest one are left out, and those beyond ``top_k``.

    Raises:
        ValueError: as `paint_heat`.
    """
    _paint_image(axis, image, attention)
    for point, style in arrow_styles(attention, top_k):
        axis.annotate("", xy=point, xytext=attention.query_xy, arrowprops=style)
    _frame(axis, image, attention)


def attention_figure(
    image: np.ndarray,
    rows: Sequence[Sequence[AttentionMap]],
    *,
    styles: Sequence[str] = STYLES,
    top_k: int = TOP_K,
    titles: Sequence[str] = (),
) -> Figure:
    """Draw a row of pictures for each query and style, a column for each block.

    Args:
        image: RGB pixels (H, W, 3); the maps are in its pixels.
        rows: for each query the map of each block, in one order.
        styles: of `STYLES`.
        top_k: at most so many arrows.
        titles: of the queries, as their joints' names.

    Returns:
        A matplotlib figure; 2.4 inches a picture.

    Raises:
        ValueError: nothing to draw, a style that does not exist, or an image of another size.
    """
    if not rows or not rows[0]:
        raise ValueError("no attention to draw; give at least one query and one block")
    for style in styles:
        if style not in STYLES:
            raise ValueError(f"style={style!r}; expected one of {', '.join(STYLES)}")
    figure = new_figure(2.4 * len(rows[0]), 2.55 * len(rows) * len(styles))
    axes = iter(figure.subplots(len(rows) * len(styles), len(rows[0]), squeeze=False).flat)
    for k, maps in enumerate(rows):
        for style in styles:
            for attention in maps:
                axis = next(axes)
                if style == "heat":
                    paint_heat(axis, image, attention)
                else:
                    paint_arrows(axis, image, attention, top_k)
                if style == styles[0]:
                    words = [titles[k]] if titles else []
                    axis.set_title(", ".join([*words, short_name(attention.block)]), fontsize=8)
    return figure


def draw_attention(
    image: np.ndarray,
    rows: Sequence[Sequence[AttentionMap]],
    path: Path,
    *,
    styles: Sequence[str] = STYLES,
    top_k: int = TOP_K,
    titles: Sequence[str] = (),
) -> Path:
    """Write `attention_figure`, whose arguments these are, as a PNG."""
    attention_figure(image, rows, styles=styles, top_k=top_k, titles=titles).savefig(path, dpi=130)
    return path


def draw_summary(queries: Sequence[Row], blocks: Sequence[Row], path: Path) -> Path:
    """Draw entropy, distance, the places of the mass and query independence of each block.

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
    places = range(len(names))
    finite = {  # for each statistic and block the values of its queries that are numbers
        key: [
            [row[key] for row in queries if row["block"] == name and np.isfinite(row[key])]
            for name in names
        ]
        for key in ("entropy_share", "distance_px", *PLACES)
    }
    figure = new_figure(11, 7)
    entropy, distance, mass, independence = figure.subplots(2, 2).flat
    for axis, key in ((entropy, "entropy_share"), (distance, "distance_px")):
        plot = axis.boxplot(finite[key], positions=places, widths=0.6, patch_artist=True)
        for box, median in zip(plot["boxes"], plot["medians"], strict=True):
            box.set_facecolor(OKABE_ITO[1])
            median.set_color("black")
    entropy.set_ylim(-0.02, 1.02)
    entropy.set_title("entropy, as a share of the largest possible", fontsize=10)
    distance.set_ylim(0, None)
    distance.set_title("mean distance of where it looks, pixels", fontsize=10)

    bottom = np.zeros(len(names))
    for place in PLACES:
        means = [float(np.mean(values)) if values else 0.0 for values in finite[place]]
        mass.bar(places, means, bottom=bottom, color=PLACE_COLORS[place], label=place)
        bottom = bottom + means
    mass.set_ylim(0, 1.18)
    mass.legend(loc="upper center", ncols=4, fontsize=8, frameon=False)
    mass.set_title("where its mass is, for queries at the centres of instances", fontsize=10)

    scores = [row["query_independence"] for row in blocks]
    independence.bar(places, scores, color=OKABE_ITO[2])
    independence.axhline(0, color="black", linewidth=0.8)
    independence.set_ylim(min(0.0, float(np.nanmin([0.0, *scores])) * 1.1), 1.02)
    independence.set_title("query independence; at 1 a global context block would do", fontsize=10)
    for axis in figure.axes:
        labels = [short_name(name).replace(".", "\n") for name in names]
        axis.set_xticks(places, labels, fontsize=8)
        axis.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=110)
    return path


def short_name(block: str) -> str:
    """Return the last two words of a block's name."""
    return ".".join(block.split(".")[-2:]) or "block"  # res4.nl4, keypoint_head.nl2


def _paint_image(axis: Axes, image: np.ndarray, attention: AttentionMap) -> None:
    height, width = image.shape[:2]
    if (height, width) != attention.placement.image_size:
        raise ValueError(
            f"the image is {width} x {height} pixels, but attention was recorded on one of "
            f"{attention.placement.image_size[1]} x {attention.placement.image_size[0]}; give the "
            "image that the model was run on"
        )
    axis.imshow(image, extent=(0, width, height, 0))
    axis.axis("off")


def _frame(axis: Axes, image: np.ndarray, attention: AttentionMap) -> None:
    """Mark the query, and show the image, or of a RoI's block the region and a little around it."""
    axis.plot(*attention.query, marker="o", markersize=5, color="white", markeredgecolor="black")
    height, width = image.shape[:2]
    x0, y0, x1, y1 = 0.0, 0.0, float(width), float(height)
    if attention.placement.is_roi:
        a, b, c, d = attention.placement.box
        margin = 0.08 * max(c - a, d - b)
        x0, y0 = max(x0, a - margin), max(y0, b - margin)
        x1, y1 = min(x1, c + margin), min(y1, d + margin)
    axis.set_xlim(x0, x1)
    axis.set_ylim(y1, y0)
