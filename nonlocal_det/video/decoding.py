"""Frames of video files by number, exactly: PyAV by default, torchcodec if it is asked for.

The number of a frame is its place in the list of presentation timestamps, which the file's packets
have. Timestamps times the frame rate would be wrong where the rate varies.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from .index import VideoError, VideoIndex, import_av, open_video, video_index

__all__ = ["READERS", "VideoError", "VideoIndex", "get_reader", "iterate_frames", "read_frames"]

READERS = ("pyav", "torchcodec")

MAX_SECONDS = 120.0
"""How long the reading of a clip may take by default before the file counts as unreadable."""

T = TypeVar("T")


class Reader(Protocol):
    """Reads chosen frames of a file."""

    def __call__(
        self, path: str | Path, frames: Sequence[int], max_seconds: float = MAX_SECONDS
    ) -> np.ndarray:
        """Read frames by number, repeats allowed: uint8 RGB (T, H, W, 3), turned upright."""


def get_reader(name: str) -> Reader:
    """Return a reader by its name, one of `READERS`.

    Raises:
        ValueError: the name is not among them.
        ImportError: what it needs cannot be loaded; says how to get it.
    """
    if name not in READERS:
        raise ValueError(f"INPUT.VIDEO.READER={name!r}; expected one of {', '.join(READERS)}")
    if name == "pyav":
        import_av()
        return read_frames
    _import_torchcodec()
    return read_frames_torchcodec


def read_frames(
    path: str | Path, frames: Sequence[int], max_seconds: float = MAX_SECONDS
) -> np.ndarray:
    """Read frames by number with PyAV: seeks to key frames and decodes only what is needed.

    Args:
        path: of the file.
        frames: numbers from 0, in any order, repeats allowed.
        max_seconds: how long it may take (``INPUT.VIDEO.MAX_SECONDS``).

    Returns:
        uint8 RGB (T, H, W, 3), turned upright where the file says that the camera was turned.

    Raises:
        VideoError: as `video_index`; or a frame is damaged or missing, or it takes
            longer than ``max_seconds``.
        IndexError: the file has no such frame.
    """
    name = os.fspath(path)
    return within_time(name, lambda in_time: _read(name, frames, in_time), max_seconds)


def read_frames_torchcodec(
    path: str | Path, frames: Sequence[int], max_seconds: float = MAX_SECONDS
) -> np.ndarray:
    """Read frames by number with torchcodec, in its exact mode; otherwise as `read_frames`.

    Raises:
        VideoError: also where torchcodec gives other frames than the file's timestamps say, as in
            some .ts files, or the file has none.
    """
    name = os.fspath(path)

    def read(in_time: Callable[[], None]) -> np.ndarray:
        index = video_index(name)  # PyAV's checks: formats, pixels
        _check_numbers(frames, index, name)
        decoder = _import_torchcodec().decoders.VideoDecoder(
            name, dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact"
        )
        wanted, places = np.unique(np.asarray(frames, np.int64), return_inverse=True)
        try:
            batch = decoder.get_frames_at(wanted.tolist())
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise VideoError(f"{name}: torchcodec cannot decode it: {reason}") from error
        times = index.pts[wanted] * index.seconds
        if not (index.timed and np.allclose(batch.pts_seconds.numpy(), times, 0, 1e-3)):
            raise VideoError(
                f"{name}: torchcodec does not find the frames of its timestamps; set "
                "INPUT.VIDEO.READER pyav"
            )
        pixels: np.ndarray = batch.data.numpy()[places]
        return pixels

    return within_time(name, read, max_seconds)


def iterate_frames(path: str | Path) -> Iterator[np.ndarray]:
    """Decode all frames of a file in order: uint8 RGB (H, W, 3), turned upright.

    Raises:
        VideoError: as `read_frames`, but for the time.
    """
    name = os.fspath(path)
    index, count, converter = video_index(name), 0, _converter()
    with open_video(name) as (container, stream):
        for frame in container.decode(stream):
            if count < len(index) and (not index.timed or frame.pts == index.pts[count]):
                if frame.is_corrupt:
                    raise VideoError(f"{name}: frame {count} is damaged")
                yield _upright(frame, index.size, converter)
                count += 1
    if count < len(index):
        raise VideoError(f"{name}: frame {count} of {len(index)} cannot be decoded")


def within_time(
    path: str, work: Callable[[Callable[[], None]], T], max_seconds: float = MAX_SECONDS
) -> T:
    """Do what may hang in a thread, and leave it behind when its time is over.

    Args:
        path: for the message.
        work: is given a function that raises when the time is over.
        max_seconds: that it may take.

    Raises:
        VideoError: it takes too long; and whatever the work raises.
    """
    end = time.monotonic() + max_seconds
    late = VideoError(
        f"{path}: takes longer than {max_seconds:g} s to decode (INPUT.VIDEO.MAX_SECONDS)"
    )
    results: list[T] = []
    errors: list[BaseException] = []

    def in_time() -> None:
        if time.monotonic() > end:
            raise late

    def run() -> None:
        try:
            results.append(work(in_time))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name=f"decode {path}")
    thread.start()
    thread.join(max_seconds)
    if errors:
        raise errors[0]
    if not results:
        raise late
    return results[0]


def _read(path: str, frames: Sequence[int], in_time: Callable[[], None]) -> np.ndarray:
    index = video_index(path)
    _check_numbers(frames, index, path)
    wanted, places = np.unique(np.asarray(frames, np.int64), return_inverse=True)
    slots = {int(index.pts[frame]): slot for slot, frame in enumerate(wanted)}
    pixels: list[np.ndarray | None] = [None] * len(slots)
    with open_video(path) as (container, stream):
        for start, targets in _spans(index.pts[wanted], index.keys):
            if index.timed:
                container.seek(start, stream=stream, backward=True)
            _decode(container, stream, targets, slots, pixels, index, path, in_time)
    left = {pts for pts, slot in slots.items() if pixels[slot] is None}
    if left:  # a container that seeks too far: from the beginning, once
        with open_video(path) as (container, stream):
            _decode(container, stream, left, slots, pixels, index, path, in_time)
    decoded = [part for part in pixels if part is not None]
    if len(decoded) < len(pixels):
        lost = wanted[next(slot for slot, part in enumerate(pixels) if part is None)]
        raise VideoError(f"{path}: frame {lost} of {len(index)} cannot be decoded")
    stacked = np.stack(decoded)
    return (
        stacked
        if len(frames) == len(wanted) and (places[:-1] < places[1:]).all()
        else (stacked[places])
    )


def _spans(wanted: np.ndarray, keys: np.ndarray) -> list[tuple[int, set[int]]]:
    """Group timestamps by the last key frame before each: (where to start, what to decode)."""
    if not len(keys):
        return [(0, set(wanted.tolist()))]
    spans: dict[int, set[int]] = {}
    starts = keys[np.maximum(np.searchsorted(keys, wanted, side="right") - 1, 0)]
    for start, pts in zip(starts.tolist(), wanted.tolist(), strict=True):
        spans.setdefault(start, set()).add(pts)
    return list(spans.items())


def _decode(
    container: Any,
    stream: Any,
    targets: set[int],
    slots: dict[int, int],
    pixels: list[np.ndarray | None],
    index: VideoIndex,
    path: str,
    in_time: Callable[[], None],
) -> None:
    """Decode from where the container is until all targets are in their slots."""
    targets = set(targets)
    last, converter = max(targets), _converter()
    for count, frame in enumerate(container.decode(stream)):
        in_time()
        pts = frame.pts if index.timed else count
        if pts in targets:
            if frame.is_corrupt:
                raise VideoError(f"{path}: the frame at {frame.time or 0:.2f} s is damaged")
            pixels[slots[pts]] = _upright(frame, index.size, converter)
            targets.discard(pts)
        if not targets or (pts is not None and pts > last):
            return


def _converter() -> Any:
    """Return a converter of pixel formats: one for many frames, as making its tables takes long."""
    return import_av().video.reformatter.VideoReformatter()


def _upright(frame: Any, size: tuple[int, int], converter: Any) -> np.ndarray:
    """Convert a frame to RGB (H, W, 3), of the file's size where it changes, and turn it."""
    if (frame.height, frame.width) != size and 0 not in size:
        frame = frame.reformat(width=size[1], height=size[0])
    rgb = converter.reformat(frame, format="rgb24")
    pixels = rgb.to_ndarray(channel_last=True)  # (H, W, 3)
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _check_numbers(frames: Sequence[int], index: VideoIndex, path: str) -> None:
    for frame in frames:
        if not 0 <= frame < len(index):
            raise IndexError(f"{path} has {len(index)} frames, no frame {frame}")


def _import_torchcodec() -> Any:
    try:
        import torchcodec
        import torchcodec.decoders

        torchcodec.decoders.VideoDecoder(b"no video")  # loads FFmpeg's libraries
    except (ImportError, OSError, RuntimeError) as error:
        if "libtorchcodec" in str(error) or isinstance(error, ImportError):
            raise ImportError(
                "INPUT.VIDEO.READER torchcodec cannot be loaded: it needs pip install torchcodec "
                "and FFmpeg's libraries (apt-get install ffmpeg); or set INPUT.VIDEO.READER pyav"
            ) from error
    return torchcodec
