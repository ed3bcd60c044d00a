"""Where the same query looks in each arm, over the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle

from nonlocal_det.visualization.figures import new_figure
from nonlocal_det.visualization.maps import AttentionMap
from nonlocal_det.visualization.placement import Box

# From transparent to opaque, in a colour that no drawn thing has.
HEAT = LinearSegmentedColormap.from_list("look", [(0.35, 0.0, 0.5, 0.0), (0.35, 0.0, 0.5, 0.9)])


@dataclass(frozen=True)
class Look:
    """Where one query looks.

    Attributes:
        label: of its arm.
        seen: the weights of its keys; None: it has no block, or one that looks nowhere.
    """

    label: str
    seen: AttentionMap | None


def compare_looks(
    image: np.ndarray,
    query: tuple[float, float],
    looks: Sequence[Look],
    path: Path,
    *,
    box: Box | None = None,
    reach: float | None = None,
    title: str = "",
) -> Path:
    """The same query in each arm: the image, and what of it the query's block looks at.

    Args:
        image: RGB pixels (H, W, 3); the maps are in its pixels.
        query: the query point (x, y).
        looks: one panel each; all on one scale of colours.
        path: the PNG to write.
        box: around the object that asks: x0, y0, x1, y1.
        reach: pixels that a detection sees to either side without a block; dashed.
        title: above all.
    """
    height, width = image.shape[:2]
    panels = 1 + len(looks)
    columns = 1 if width > 1.6 * height else 2 if panels < 5 else 3
    rows = -(-panels // columns)
    side = 8.0 / columns
    figure = new_figure(8.6, rows * (side * height / width + 0.35) + 0.3)
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axis in axes:
        axis.axis("off")
    axes[0].imshow(image)
    axes[0].set_title("the image", fontsize=9, loc="left")
    figure.suptitle(title, fontsize=10)
    found = [look.seen for look in looks if look.seen is not None]
    highest = max((float(seen.weights.max()) for seen in found), default=1.0)
    heat = None
    faded = (image.astype(float) / 2 + 127).astype(np.uint8)
    for axis, look in zip(axes[1:], looks, strict=False):
        axis.imshow(faded)
        axis.set_title(look.label, fontsize=9, loc="left")
        if look.seen is not None:
            heat = _draw_weights(axis, look.seen, highest)
    for axis in axes[:panels]:
        _mark(axis, query, box, reach)
        axis.set(xlim=(0, width), ylim=(height, 0))
    if reach is not None:
        figure.legend(
            handles=axes[0].patches[-1:], loc="outside lower left", fontsize=8, frameon=False
        )
    if heat is not None:
        label = "weight of a key position, f / C"
        figure.colorbar(heat, ax=list(axes), shrink=0.6, label=label)
    figure.savefig(path, dpi=150)
    return path


def _draw_weights(axis: Axes, seen: AttentionMap, highest: float) -> ScalarMappable:
    height, width = seen.placement.image_size
    if seen.placement.is_roi:
        x0, y0, x1, y1 = seen.placement.box
        size = (x1 - x0, y1 - y0)
        axis.add_patch(Rectangle((x0, y0), *size, fill=False, color=HEAT(1.0), linewidth=0.8))
    return axis.imshow(
        seen.to_image(),
        extent=(0, width, height, 0),
        interpolation="nearest",  # a key position is a square: nothing is smoothed
        cmap=HEAT,
        norm=Normalize(0, highest),
    )


def _mark(axis: Axes, query: tuple[float, float], box: Box | None, reach: float | None) -> None:
    """The point that asks, the object around it, and what it sees by itself."""
    axis.plot(*query, marker="*", markersize=11, color="#F0E442", markeredgecolor="black")
    if box is not None:
        size = (box[2] - box[0], box[3] - box[1])
        axis.add_patch(Rectangle(box[:2], *size, fill=False, color="black", linewidth=1.2))
    if reach is not None:
        corner = (query[0] - reach, query[1] - reach)
        label = "the farthest that the object's detection sees without a block"
        axis.add_patch(
            Rectangle(
                corner, 2 * reach, 2 * reach, fill=False, color="0.2", linestyle="--", label=label
            )
        )
