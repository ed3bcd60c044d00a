"""Frames of video files by number, exactly: PyAV by default, torchcodec if it is asked for.

The number of a frame is its place in the list of presentation timestamps, which the file's packets
have. Timestamps times the frame rate would be wrong where the rate varies.
"""

import os
import stat
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

MAX_PIXELS = 4096 * 4096
"""Pixels of a frame above which a file is refused before anything is decoded."""

READERS = ("pyav", "torchcodec")

# Containers that hold video, and nothing that names other files (playlists, concat, subfile).
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,asf,ogg,m4v,mpegvideo,h264,hevc"
)
_OPEN = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
_INDICES = 4096  # files whose index is remembered in a process


class VideoError(OSError):
    """A video file that cannot be read; the message names the file and the reason."""


@dataclass(frozen=True)
class VideoIndex:
    """What reading the packets of a file tells, without decoding.

    Attributes:
        pts: the presentation timestamps of the frames that are shown, in order.
        keys: those of the key frames, where decoding can start.
        seconds: the length of a unit of the timestamps.
        size: (height, width) as coded, in pixels.
        codec: the name of the codec.
    """

    pts: tuple[int, ...]
    keys: tuple[int, ...]
    seconds: float
    size: tuple[int, int]
    codec: str

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.pts)

    @property
    def rate(self) -> float:
        """The mean number of frames a second; 0 for fewer than two frames."""
        if len(self.pts) < 2:
            return 0.0
        return (len(self.pts) - 1) / ((self.pts[-1] - self.pts[0]) * self.seconds)

    def time(self, frame: int) -> float:
        """Return when a frame is shown, in seconds after the first one."""
        return (self.pts[frame] - self.pts[0]) * self.seconds


class Reader(Protocol):
    """Reads chosen frames of a file."""

    def __call__(self, path: str | Path, frames: Sequence[int]) -> np.ndarray:
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
        _import_av()
        return read_frames
    _import_torchcodec()
    return read_frames_torchcodec


def video_index(path: str | Path) -> VideoIndex:
    """Read which frames a file has; remembered for as long as the file does not change.

    Raises:
        VideoError: the file is missing, empty, no video, of a format that is not allowed, has no
            video stream or no frame, or its frames have more than `MAX_PIXELS` pixels.
        ImportError: PyAV is not installed.
    """
    path = os.fspath(path)
    key = (path, *_check_file(path))
    if key not in _CACHE:
        if len(_CACHE) >= _INDICES:
            _CACHE.popitem(last=False)
        _CACHE[key] = _read_index(path)
    return _CACHE[key]


_CACHE: "OrderedDict[tuple[str, int, int], VideoIndex]" = OrderedDict()


def read_frames(path: str | Path, frames: Sequence[int]) -> np.ndarray:
    """Read frames by number with PyAV: seeks to key frames and decodes only what is needed.

    Args:
        path: of the file.
        frames: numbers from 0, in any order, repeats allowed.

    Returns:
        uint8 RGB (T, H, W, 3), turned upright where the file says that the camera was turned.

    Raises:
        VideoError: as `video_index`; or a frame is damaged or missing.
        IndexError: the file has no such frame.
    """
    index = video_index(path)
    wanted = sorted({index.pts[_in_range(frame, index, path)] for frame in frames})
    av = _import_av()
    decoded: dict[int, np.ndarray] = {}
    try:
        with av.open(os.fspath(path), options=_OPEN) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1  # loading processes are many already
            for start, targets in _spans(wanted, index.keys):
                container.seek(start, stream=stream, backward=True)
                _decode(container, stream, set(targets), decoded, path)
    except av.error.FFmpegError as error:
        raise VideoError(f"{path}: cannot be decoded: {error.strerror or error}") from error
    missing = [frame for frame in frames if index.pts[frame] not in decoded]
    if missing:
        raise VideoError(f"{path}: frame {missing[0]} of {len(index)} cannot be decoded")
    return np.stack([decoded[index.pts[frame]] for frame in frames])


def read_frames_torchcodec(path: str | Path, frames: Sequence[int]) -> np.ndarray:
    """Read frames by number with torchcodec, in its exact mode; otherwise as `read_frames`."""
    index = video_index(path)  # PyAV's checks: formats, pixels
    for frame in frames:
        _in_range(frame, index, path)
    decoder = _import_torchcodec().decoders.VideoDecoder(
        os.fspath(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact"
    )
    try:
        batch: np.ndarray = decoder.get_frames_at(list(frames)).data.numpy()
    except RuntimeError as error:
        raise VideoError(f"{path}: cannot be decoded: {str(error).splitlines()[0]}") from error
    return batch


def _spans(wanted: list[int], keys: tuple[int, ...]) -> list[tuple[int, list[int]]]:
    """Group timestamps by the last key frame before each: (where to start, what to decode)."""
    spans: list[tuple[int, list[int]]] = []
    starts = np.searchsorted(np.asarray(keys), wanted, side="right") - 1
    for pts, at in zip(wanted, starts, strict=True):
        start = keys[max(at, 0)] if keys else pts
        if spans and spans[-1][0] == start:
            spans[-1][1].append(pts)
        else:
            spans.append((start, [pts]))
    return spans


def _decode(
    container: Any, stream: Any, targets: set[int], decoded: dict[int, np.ndarray], path: Any
) -> None:
    """Decode from where the container is until all targets are there."""
    last = max(targets)
    for frame in container.decode(stream):
        if frame.pts in targets:
            if frame.is_corrupt:
                raise VideoError(f"{path}: the frame at {frame.time:.2f} s is damaged")
            decoded[frame.pts] = _upright(frame)
            targets.discard(frame.pts)
        if not targets or (frame.pts is not None and frame.pts > last):
            return


def _upright(frame: Any) -> np.ndarray:
    pixels = frame.to_ndarray(format="rgb24", channel_last=True)  # (H, W, 3)
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _in_range(frame: int, index: VideoIndex, path: str | Path) -> int:
    if not 0 <= frame < len(index):
        raise IndexError(f"{path} has {len(index)} frames, no frame {frame}")
    return frame


def _check_file(path: str) -> tuple[int, int]:
    """Return size and time of change of a file that can be read without waiting for ever."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise VideoError(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(f"{path}: not a regular file")
    if not status.st_size:
        raise VideoError(f"{path}: the file is empty")
    return status.st_size, status.st_mtime_ns


def _read_index(path: str) -> VideoIndex:
    av = _import_av()
    try:
        with av.open(path, options=_OPEN) as container:
            if not container.streams.video:
                raise VideoError(f"{path}: has no video stream")
            stream = container.streams.video[0]
            height, width = stream.codec_context.height, stream.codec_context.width
            if height * width > MAX_PIXELS:
                raise VideoError(
                    f"{path}: frames of {width}x{height} pixels; at most {MAX_PIXELS} are decoded"
                )
            shown, keys = [], []
            for packet in container.demux(stream):
                if packet.pts is None or packet.is_discard:
                    continue
                shown.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
            codec = stream.codec_context.name
            seconds = float(stream.time_base)
    except av.error.FFmpegError as error:
        raise VideoError(f"{path}: not a video that can be read: {error.strerror}") from error
    if not shown:
        raise VideoError(f"{path}: has no frames")
    return VideoIndex(
        tuple(sorted(set(shown))), tuple(sorted(keys)), seconds, (height, width), codec
    )


def _import_av() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise ImportError(
            "reading video files needs PyAV: pip install 'nonlocal_det[video]' (or pip install av)"
        ) from error
    av.logging.set_level(av.logging.PANIC)  # errors reach the user once, as exceptions
    return av


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
