"""The explorer's pictures as PNG files in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from nonlocal_det.visualization import AttentionMap, attention_figure, new_figure

from .explorer import LookOptions

DPI = 110
MARGIN = 16
CAPTION = 34
"""Pixels around the parts of a sheet, and for the name above each."""


def as_png(pixels: np.ndarray) -> bytes:
    """RGB pixels (H, W, 3), uint8, as a PNG file."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def png_of_looks(image: np.ndarray, looks: Sequence[AttentionMap], options: LookOptions) -> bytes:
    """Where one query looks, a column for each block; see `attention_figure`.

    Args:
        image: RGB pixels (H, W, 3).
        looks: at least one.
        options: styles and arrows.
    """
    return _png(attention_figure(image, [looks], styles=options.styles, top_k=options.top_k))


@dataclass(frozen=True)
class Part:
    """What a sheet shows of one model.

    Attributes:
        title: above it.
        picture: its detections, a PNG.
        image: the RGB pixels (H, W, 3) that they are drawn on.
        looks: a map for each block; none: the detections alone.
    """

    title: str
    picture: bytes
    image: np.ndarray
    looks: Sequence[AttentionMap]


def sheet_of(parts: Sequence[Part], options: LookOptions) -> bytes:
    """One picture of what the page shows, to keep: a row for each model.

    Args:
        parts: at least one.
        options: how looks are drawn.

    Returns:
        A PNG.
    """
    rows = []
    for part in parts:
        pngs = [part.picture]
        if part.looks:
            pngs.append(png_of_looks(part.image, part.looks, options))
        rows.append((part.title, [read_png(one) for one in pngs]))
    width = MARGIN + max(sum(one.shape[1] + MARGIN for one in row) for _, row in rows)
    heights = [CAPTION + max(one.shape[0] for one in row) + MARGIN for _, row in rows]
    height = sum(heights)
    figure = new_figure(width / DPI, height / DPI)
    figure.set_dpi(DPI)
    figure.set_layout_engine("none")
    top = height
    for (name, row), used in zip(rows, heights, strict=True):
        figure.text(MARGIN / width, (top - CAPTION / 2) / height, name, fontsize=11, va="center")
        left = MARGIN
        for one in row:
            figure.figimage(one, left, top - CAPTION - one.shape[0], origin="upper")
            left += one.shape[1] + MARGIN
        top -= used
    return _png(figure)


def read_png(png: bytes) -> np.ndarray:
    """The RGB pixels (H, W, 3) of a PNG file."""
    with Image.open(BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def _png(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()
