"""Uploaded pictures: limited in bytes and pixels before they are decoded."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePath

import numpy as np
from PIL import Image

from nonlocal_det.inference.sources import decode_picture

MAX_SIDE = 1600
"""Larger pictures are resized to this longer side, in pixels, so that drawing stays quick."""

MIN_SIDE, MAX_RATIO = 16, 20
"""Of a picture's shorter side in pixels; of the longer one to it."""


@dataclass(frozen=True)
class UploadLimits:
    """The largest picture that is accepted.

    Args:
        max_bytes: of an uploaded file.
        max_pixels: width times height, of uploads and of files in the folder.

    Raises:
        ValueError: a limit is below 1.
    """

    max_bytes: int = 16 * 2**20
    max_pixels: int = 25_000_000

    def __post_init__(self) -> None:
        """Check the limits."""
        if self.max_bytes < 1 or self.max_pixels < 1:
            raise ValueError(
                f"--max-upload-mb and --max-megapixels: {self.max_bytes} bytes and "
                f"{self.max_pixels} pixels; expected numbers above 0"
            )


def read_upload(data: bytes, name: str, limits: UploadLimits) -> np.ndarray:
    """Decode an uploaded file to RGB pixels (H, W, 3), uint8, as `fit_picture` gives them.

    Raises:
        ValueError: too many bytes or pixels, no image, a damaged one, or one of a useless shape.
    """
    name = PurePath(name).name[:80]
    if len(data) > limits.max_bytes:
        raise ValueError(
            f"{name}: {len(data) / 2**20:.1f} MB; at most {limits.max_bytes / 2**20:g}; save it "
            "smaller, or start the explorer with --max-upload-mb"
        )
    return fit_picture(decode_picture(BytesIO(data), name, limits.max_pixels), name)


def fit_picture(image: np.ndarray, name: str) -> np.ndarray:
    """Make RGB pixels (H, W, 3), uint8, smaller where the longer side is above `MAX_SIDE`.

    Raises:
        ValueError: it is too narrow to find anything in it.
    """
    height, width = image.shape[:2]
    short, long = sorted((height, width))
    if short < MIN_SIDE or long > MAX_RATIO * short:
        raise ValueError(
            f"{name}: {width} x {height} pixels; give a picture of at least {MIN_SIDE} pixels a "
            f"side, whose sides are at most 1 : {MAX_RATIO}"
        )
    if long <= MAX_SIDE:
        return image
    size = (round(width * MAX_SIDE / long), round(height * MAX_SIDE / long))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
