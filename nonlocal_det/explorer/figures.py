"""The explorer's pictures as PNG files in memory."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nonlocal_det.visualization import AttentionMap, attention_figure

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
    """Draw the attention of one query, a column for each block; see `attention_figure`."""
    file = BytesIO()
    figure = attention_figure(image, [maps], styles=styles, top_k=top_k)
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()


def draw_sheet(rows: Sequence[tuple[str, Sequence[bytes]]]) -> bytes:
    """Draw what the page shows as one PNG, to keep.

    Args:
        rows: for each model a title and the PNG files below it, side by side; at least one.
    """
    pictures = [[Image.open(BytesIO(png)).convert("RGB") for png in pngs] for _, pngs in rows]
    width = max(MARGIN + sum(picture.width + MARGIN for picture in row) for row in pictures)
    heights = [CAPTION + max(picture.height for picture in row) + MARGIN for row in pictures]
    sheet = Image.new("RGB", (width, sum(heights)), "white")
    pen, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(16), 0
    for (title, _), row, height in zip(rows, pictures, heights, strict=True):
        pen.text((MARGIN, top + CAPTION // 2), title, "black", font, anchor="lm")
        left = MARGIN
        for picture in row:
            sheet.paste(picture, (left, top + CAPTION))
            left += picture.width + MARGIN
        top += height
    return as_png(np.asarray(sheet))
