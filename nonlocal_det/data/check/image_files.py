"""Check image files: that they are there, can be read, and are what the json says."""

import os
import struct
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from tqdm import tqdm

from .findings import Findings
from .rows import ImageTable

Images = Literal["none", "sample", "all"]
IMAGES: tuple[Images, ...] = ("none", "sample", "all")
SAMPLE = 200
ORIENTATION = 274  # the EXIF tag
SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height
READ_ERRORS = (OSError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for files that are damaged, gone, or no images."""
_DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")

Issue = tuple[str, str]
"""Kind and detail."""


def check_image_files(
    table: ImageTable, root: Path, images: Images, findings: Findings, *, progress: bool = False
) -> int:
    """Check the files of all images of a json.

    Args:
        table: the images.
        root: the folder to which their names are relative.
        images: "none": only that the files are there; "sample": read `SAMPLE` of them, evenly
            spread; "all": read all.
        findings: gets what is wrong.
        progress: show a bar.

    Returns:
        The number of images that were read.
    """
    present = _check_presence(table, root, findings)
    if images == "none":
        return 0
    if images == "sample" and len(present) > SAMPLE:
        present = [present[k] for k in np.linspace(0, len(present) - 1, SAMPLE).astype(int)]

    def check(position: int) -> list[Issue]:
        return check_image(root / table.names[position], table.sizes[position])

    with ThreadPoolExecutor(_num_cpus()) as pool:
        results = tqdm(
            pool.map(check, present), total=len(present), unit=" images", disable=not progress
        )
        for position, issues in zip(present, results, strict=True):
            for kind, detail in issues:
                findings.image(kind, position, detail)
    return len(present)


def _num_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: not all may be this process's
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_presence(table: ImageTable, root: Path, findings: Findings) -> list[int]:
    """The positions of the images whose files exist; folders are listed, files are not touched."""
    listed: dict[Path, set[str]] = {}
    variants: dict[Path, dict[str, str]] = {}
    present = []
    for position, name in table.names.items():
        path = root / name
        folder = path.parent
        if folder not in listed:
            listed[folder] = set(os.listdir(folder)) if folder.is_dir() else set()
        if path.name in listed[folder]:
            present.append(position)
            continue
        if folder not in variants:
            variants[folder] = {_key(other): other for other in listed[folder]}
        near = variants[folder].get(_key(path.name))
        if near:
            findings.image("image_name_variant", position, f"the folder has {near!r}")
        else:
            findings.image("image_absent", position, f"no such file in {folder}")
    return present


def _key(name: str) -> str:
    """Equal for names that differ only in case or in the form of their accents."""
    return unicodedata.normalize("NFC", name).casefold()


def check_image(path: Path, size: np.ndarray) -> list[Issue]:
    """Read one image to its end; ``size`` (2,) is the json's width and height, NaN if unknown."""
    if path.is_file() and path.stat().st_size == 0:
        return [("image_zero_bytes", "0 bytes")]
    try:
        with Image.open(path) as image:
            return _damage(image) or _describe(image, size)
    except Image.DecompressionBombError as error:
        return [("image_too_large", str(error))]
    except READ_ERRORS as error:
        return [("image_unreadable", str(error)[:200])]


def _damage(image: Image.Image) -> list[Issue]:
    """Decode all of it. Detectron2 looks for EXIF first, and goes on when that has failed."""
    try:
        image.load()
    except READ_ERRORS as error:
        try:
            image.load()
        except READ_ERRORS:
            return [("image_truncated", str(error)[:200])]
        return [("image_damaged", str(error)[:200])]
    return []


def _describe(image: Image.Image, size: np.ndarray) -> list[Issue]:
    issues = _compare_size(image, size)
    if image.mode in _DEEP_MODES:
        issues.append(("image_16_bit", f"mode {image.mode}"))
    return issues


def _compare_size(image: Image.Image, size: np.ndarray) -> list[Issue]:
    """The size after EXIF's turn is Detectron2's, and must be the json's."""
    orientation = image.getexif().get(ORIENTATION, 1)
    before = image.size
    after = before[::-1] if orientation in SIDEWAYS else before
    known = bool(np.isfinite(size).all())
    stated = tuple(int(side) for side in size) if known else after
    detail = f"the file is {after[0]} x {after[1]}, the json says {stated[0]} x {stated[1]}"
    if stated != after:
        if stated == before:
            return [("image_exif_wrong", f"{detail}; orientation {orientation} of EXIF turns it")]
        return [("image_size_wrong", detail)]
    turned = orientation in range(2, 9)
    return [("image_exif_turned", f"orientation {orientation}")] if turned else []
