"""Check run lengths (RLE) without pycocotools, which writes outside of memory given bad ones."""

from typing import Any, TypeGuard

import numpy as np

from .findings import Findings
from .records import is_whole


def check_run_length(
    segmentation: dict[str, Any],
    position: int,
    image_size: np.ndarray,
    crowd: bool,
    findings: Findings,
) -> None:
    """Check one RLE.

    Args:
        segmentation: with "size" (height, width) and "counts".
        position: of the annotation.
        image_size: (2,) width and height; NaN where they are not known.
        crowd: crowds may always be RLE.
        findings: gets what is wrong.
    """
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not _is_size(size) or not isinstance(counts, list | str):
        said = f"size is {size!r}, counts a {type(counts).__name__}"
        findings.annotation("segmentation_malformed", position, said[:200])
        return
    if not crowd:
        findings.annotation("rle_as_polygon", position, f"an RLE of size {size}")
    if np.isfinite(image_size).all() and [size[1], size[0]] != image_size.tolist():
        width, height = image_size
        said = f"size is {size}, the image's (height, width) is [{height:.0f}, {width:.0f}]"
        findings.annotation("rle_size_wrong", position, said)
    runs = _runs(counts)
    pixels = size[0] * size[1]
    total = -1 if runs is None else int(sum(runs))
    if runs is None or min(runs, default=0) < 0 or total > pixels:
        findings.annotation("rle_corrupt", position, f"{total} of {pixels} pixels")
    elif total < pixels:
        findings.annotation("rle_short", position, f"{total} of {pixels} pixels")
    elif sum(runs[1::2]) == 0:
        findings.annotation("rle_blank", position, "no pixel is set")


def _is_size(size: Any) -> TypeGuard[list[int]]:
    return isinstance(size, list) and len(size) == 2 and all(is_whole(s) and s > 0 for s in size)


def _runs(counts: list[Any] | str) -> list[int] | None:
    """The lengths of the runs; None if they cannot be read."""
    if isinstance(counts, str):
        return decode_counts(counts)
    return counts if all(is_whole(run) for run in counts) else None


def decode_counts(text: str) -> list[int] | None:
    """Decode COCO's compressed counts.

    Each character holds 5 bits, lowest first, and a bit that says whether the number goes on; the
    last one's fifth bit is the sign. From the fourth number on, the difference to the one two
    before is stored.

    Returns:
        The lengths, perhaps negative; None if the text is not of that form.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            return None
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    return runs if shift == 0 else None
