"""The explorer's pictures as PNG files in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from nonlocal_det.visualization import AttentionMap, attention_figure, new_figure

DPI = 110
MARGIN = 16
CAPTION = 34
"""Pixels around the pictures of a sheet, and for the name above each row."""


def as_png(pixels: np.ndarray) -> bytes:
    """Encode RGB pixels (H, W, 3), uint8, as a PNG file."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def png_of_maps(
    image: np.ndarray, maps: Sequence[AttentionMap], styles: Sequence[str], top_k: int
) -> bytes:
    """Draw the attention of one query, a column for each block; see `attention_figure`.

    Args:
        image: RGB pixels (H, W, 3).
        maps: at least one.
        styles: of `STYLES`.
        top_k: at most so many arrows.
    """
    return _png(attention_figure(image, [maps], styles=styles, top_k=top_k))


@dataclass(frozen=True)
class SheetRow:
    """The row of one model in a sheet.

    Args:
        title: above it.
        pngs: side by side.
    """

    title: str
    pngs: Sequence[bytes]


def draw_sheet(rows: Sequence[SheetRow]) -> bytes:
    """Draw what the page shows as one PNG, to keep: a row for each model.

    Args:
        rows: at least one.
    """
    pictures = [[_read_png(png) for png in row.pngs] for row in rows]
    width = MARGIN + max(sum(image.shape[1] + MARGIN for image in row) for row in pictures)
    heights = [CAPTION + max(image.shape[0] for image in row) + MARGIN for row in pictures]
    height = sum(heights)
    figure = new_figure(width / DPI, height / DPI)
    figure.set_dpi(DPI)
    figure.set_layout_engine("none")
    top = height
    for row, images, row_height in zip(rows, pictures, heights, strict=True):
        y = (top - CAPTION / 2) / height
        figure.text(MARGIN / width, y, row.title, fontsize=11, va="center")
        left = MARGIN
        for image in images:
            figure.figimage(image, left, top - CAPTION - image.shape[0], origin="upper")
            left += image.shape[1] + MARGIN
        top -= row_height
    return _png(figure)


def _read_png(png: bytes) -> np.ndarray:
    with Image.open(BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def _png(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()
