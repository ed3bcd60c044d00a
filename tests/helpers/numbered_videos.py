"""Video files whose frames carry their number as a pattern of eight bars, bright for a 1."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 8


def numbered_frame(number: int, height: int = 48, width: int = 96) -> np.ndarray:
    """RGB (H, W, 3); the bars go from left to right, the lowest bit first."""
    frame = np.full((height, width, 3), 20, np.uint8)
    bar = width // BITS
    for bit in range(BITS):
        if number >> bit & 1:
            frame[:, bit * bar : (bit + 1) * bar] = 230
    return frame


def read_number(frame: np.ndarray) -> int:
    """The number that a frame (H, W, 3) shows."""
    bars = frame.reshape(frame.shape[0], BITS, -1).mean(axis=(0, 2))
    return int(sum(1 << bit for bit in range(BITS) if bars[bit] > 125))


def write_numbered(
    path: Path,
    frames: int = 60,
    *,
    codec: str = "libx264",
    milliseconds: Sequence[int] | None = None,
    gop: int = 12,
    size: tuple[int, int] = (48, 96),
    first: int = 0,
    options: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a file; ``milliseconds`` are the times of its frames, else 25 a second."""
    times = milliseconds or [first + 40 * number for number in range(frames)]
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.gop_size = gop
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number, *size), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
