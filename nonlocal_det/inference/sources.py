"""Read images from files, folders, patterns, videos and a camera; name what is damaged."""

import glob
import struct
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from nonlocal_det.data import import_cv2

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm"})
"""The endings of images in a folder; a file that is named itself may have another."""

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")
"""The formats that are decoded: for some others (EPS) Pillow starts a program."""

DAMAGES = (OSError, SyntaxError, EOFError, ValueError, struct.error)
"""The errors of Pillow for damaged files."""

MAX_PIXELS = 100_000_000
"""Images of more pixels are refused before they are decoded."""


def find_images(inputs: Sequence[str]) -> list[Path]:
    """Find the image files of names, folders and patterns; see `find_files`."""
    return find_files(inputs, ENDINGS, "image")


def find_files(inputs: Sequence[str], endings: Collection[str], kind: str) -> list[Path]:
    """Find the files of names, folders and patterns, each one once.

    Args:
        inputs: files; folders, of which those with the endings are taken, sorted by name; patterns
            such as ``photos/**/*.jpg``.
        endings: of the files in a folder, as ``.jpg``.
        kind: image or video, for the messages.

    Raises:
        FileNotFoundError: one of them is no file, or has no image in it.
    """
    images: list[Path] = []
    for name in inputs:
        path = Path(name).expanduser()
        if path.is_dir():
            candidates = [p for p in sorted(path.iterdir()) if p.suffix.lower() in endings]
        elif path.is_file():
            candidates = [path]
        else:
            candidates = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
        files = [p for p in candidates if not p.is_dir()]
        if not files:
            problem = "no file, folder or pattern that matches one"
            if path.is_dir():
                problem = f"a folder without {kind}s ({', '.join(sorted(endings))})"
            raise FileNotFoundError(
                f"{name}: {problem}; give {kind}s, a folder, or 'folder/*{min(endings)}'"
            )
        images += files
    return list(dict.fromkeys(images))


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return the files' names without endings; with a number where two would be the same."""
    names: dict[str, None] = {}  # ordered; as fast as a set for folders of 100,000
    for path in paths:
        name, count = path.stem, 1
        while name in names:
            count += 1
            name = f"{path.stem}_{count}"
        names[name] = None
    return list(names)


def read_picture(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode an image file, and turn it by its EXIF data.

    Args:
        path: of one of `FORMATS`.
        max_pixels: larger ones are refused before they are decoded.

    Returns:
        RGB pixels (H, W, 3), uint8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no image, is cut off, is too large, or may not be read; names file and
            cause.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        file = path.open("rb")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    with file:
        return decode_picture(file, str(path), max_pixels)


def decode_picture(file: BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode an image that is open already, as `read_picture` does.

    Args:
        file: its bytes.
        name: for messages.
        max_pixels: larger ones are refused before they are decoded.

    Returns:
        RGB pixels (H, W, 3), uint8.

    Raises:
        ValueError: it is no image, is cut off, or is too large; names file and cause.
    """
    try:
        image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name}: too many pixels; make it smaller first") from error
    except UnidentifiedImageError as error:
        formats = ", ".join(FORMATS)
        raise ValueError(f"{name}: no image, whatever its name; give one of {formats}") from error
    except DAMAGES as error:
        raise _damaged(name, error) from error
    with image:
        pixels = image.width * image.height
        if pixels > max_pixels:
            raise ValueError(
                f"{name}: {image.width} x {image.height} is {pixels / 1e6:.0f} megapixels; at "
                f"most {max_pixels / 1e6:g}; make it smaller first"
            )
        try:
            return _as_rgb(ImageOps.exif_transpose(image) or image)
        except DAMAGES as error:
            raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> ValueError:
    return ValueError(f"{name}: a damaged image ({error}); get the file again")


def _as_rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):  # Pillow would cut all above 255 off: white
        grey = (np.asarray(image) >> 8).astype(np.uint8)  # (H, W)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.asarray(image.convert("RGB"))


def read_frames(source: str | int) -> Iterator[np.ndarray]:
    """Yield the frames of a video file or camera.

    Args:
        source: a path, or the number of a camera, 0 being the first.

    Yields:
        RGB pixels (H, W, 3), uint8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be opened, or has no frame.
        ImportError: there is no OpenCV.
    """
    cv2 = import_cv2()
    if isinstance(source, str) and not Path(source).is_file():
        raise FileNotFoundError(f"{source}: no such video file")
    capture = cv2.VideoCapture(source)
    count = 0
    try:
        while capture.isOpened():
            success, frame = capture.read()
            if not success:
                break
            count += 1
            yield np.ascontiguousarray(frame[:, :, ::-1])  # BGR -> RGB
    finally:
        capture.release()
    if not count:
        name, cure = source, "give a video file, as .mp4"
        if isinstance(source, int):
            name, cure = f"camera {source}", "is it plugged in?"
        raise ValueError(f"{name}: cannot be opened, or has no frame; {cure}")


def frame_rate(source: str | int) -> float:
    """Read the frames per second of a video file; 25 where it has none, or for a camera.

    Args:
        source: as in `read_frames`.
    """
    if isinstance(source, int):
        return 25.0  # opening a camera twice is slow, and fails on some
    cv2 = import_cv2()
    capture = cv2.VideoCapture(source)
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    capture.release()
    return rate if 1 <= rate <= 1000 else 25.0


class VideoFile:
    """Write frames as an mp4; all of the first one's size.

    Args:
        path: ends in .mp4.
        rate: frames per second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path = path
        self.rate = rate
        self._writer: Any = None
        self._size = (0, 0)

    def write(self, frame: np.ndarray) -> None:
        """Add a frame (H, W, 3), RGB, uint8; an odd last row or column is left out.

        Raises:
            ValueError: it has another size than the first, or this OpenCV cannot write mp4.
        """
        height, width = (side // 2 * 2 for side in frame.shape[:2])  # what the codec needs
        if self._writer is None:
            cv2 = import_cv2()
            codec = cv2.VideoWriter_fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self.path), codec, self.rate, (width, height))
            self._size = (width, height)
            if not self._writer.isOpened():
                raise ValueError(
                    f"{self.path}: this OpenCV cannot write mp4; pip install opencv-python-headless"
                )
        if (width, height) != self._size:
            raise ValueError(f"{self.path}: a frame of {width} x {height} after {self._size}")
        self._writer.write(np.ascontiguousarray(frame[:height, :width, ::-1]))  # RGB -> BGR

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
