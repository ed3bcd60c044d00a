"""Scores of a video's classes: over its frames, as curves over time, and as a table."""

import csv
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nonlocal_det.video.index import import_av

from .figure import new_figure

_SHORTEST = 360  # pixels of a drawn frame's height: less has no room for five lines
_UNITS = 90_000  # of a second


def draw_top_classes(
    frame: np.ndarray, classes: Sequence[str], scores: np.ndarray, count: int = 5
) -> np.ndarray:
    """Draw the best classes with bars over a frame.

    Args:
        frame: RGB uint8 (H, W, 3); one with less than 360 rows is enlarged.
        classes: K names.
        scores: (K,), probabilities.
        count: how many.

    Returns:
        RGB uint8, of even sides.
    """
    factor = max(1.0, _SHORTEST / min(frame.shape[:2]))
    height, width = (round(side * factor / 2) * 2 for side in frame.shape[:2])
    picture = Image.fromarray(frame).resize((width, height)).convert("RGB")
    size = max(14, height // 26)
    font, line = _font(size), round(size * 1.35)
    best = np.argsort(-scores)[:count]
    draw = ImageDraw.Draw(picture, "RGBA")
    panel = min(width, size * 17)
    draw.rectangle((0, 0, panel, line * len(best) + 6), fill=(0, 0, 0, 150))
    for row, k in enumerate(best):
        top = 3 + row * line
        bar = float(scores[k]) * (panel - 6)
        draw.rectangle((3, top, 3 + bar, top + line - 2), fill=(0, 114, 178, 190))
        name = _shortened(classes[k], font, panel - size * 4)
        draw.text((7, top), name, font=font, fill=(255, 255, 255, 255))
        share = f"{100 * float(scores[k]):.0f} %"
        draw.text((panel - 6, top), share, font=font, fill=(255, 255, 255, 255), anchor="ra")
    return np.asarray(picture)


def write_mp4(path: Path, frames: Iterable[np.ndarray], times: Sequence[float]) -> Path:
    """Write frames (H, W, 3) of one size with even sides, each shown at its time in seconds.

    Raises:
        ImportError: PyAV is not installed.
    """
    av = import_av()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "23"})
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, _UNITS)
        for number, (pixels, time) in enumerate(zip(frames, times, strict=True)):
            if not number:
                stream.height, stream.width = pixels.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = round(time * _UNITS), Fraction(1, _UNITS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def draw_scores(
    times: np.ndarray, scores: np.ndarray, classes: Sequence[str], path: Path, count: int = 5
) -> Path:
    """Draw the curves of the classes with the highest mean score as a PNG.

    Args:
        times: (S,), seconds.
        scores: (S, K), probabilities.
        classes: K names.
        path: the PNG to write.
        count: how many curves.
    """
    figure = new_figure(8, 3.6)
    axis = figure.subplots()
    for k in np.argsort(-scores.mean(axis=0))[:count]:
        axis.plot(times, scores[:, k], label=classes[k], marker="." if len(times) < 60 else "")
    axis.set(xlabel="seconds", ylabel="probability", ylim=(-0.03, 1.03))
    axis.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=min(count, 3), fontsize=9, frameon=False)
    figure.savefig(path, dpi=120)
    return path


def write_scores(times: np.ndarray, scores: np.ndarray, classes: Sequence[str], path: Path) -> Path:
    """Write a row for each time with the probability of every class, as csv."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["seconds", *classes])
        rows.writerows(
            [f"{time:.3f}", *(f"{score:.6f}" for score in row)]
            for time, row in zip(times, scores, strict=True)
        )
    return path


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(fonts / "DejaVuSans.ttf"), size)


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    while text and font.getlength(text) > width:
        text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
    return text
