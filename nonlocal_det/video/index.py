"""Which frames a video file has, read from its packets without decoding; what is refused before.

A file's format is one of a list, it names no other file, and its frames are not too large: video
files come from strangers.
"""

import mmap
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

MAX_PIXELS = 4096 * 4096
"""Pixels of a frame above which a file is refused before anything is decoded."""

# Containers that hold video, and nothing that names other files (playlists, concat, subfile).
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,asf,ogg,m4v,mpegvideo,h264,hevc"
)
_OPEN = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
_REMEMBERED = 2_000_000  # frames whose timestamps are remembered in a process: 16 MB


class VideoError(OSError):
    """A video file that cannot be read; the message names the file and the reason."""


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """What the packets of a file say.

    Attributes:
        pts: int64 (F,), the presentation timestamps of the frames that are shown, in order. Where a
            file has none (AVI with B-frames): 0, 1, ...
        keys: int64, those of the key frames, where decoding can start; empty where a file has no
            timestamps: it is decoded from the beginning.
        seconds: the length of a unit of the timestamps.
        size: (height, width) as coded, in pixels.
        codec: the name of the codec.
    """

    pts: np.ndarray
    keys: np.ndarray
    seconds: float
    size: tuple[int, int]
    codec: str

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.pts)

    @property
    def timed(self) -> bool:
        """Whether the file's own timestamps number the frames, not their order."""
        return len(self.keys) > 0

    @property
    def rate(self) -> float:
        """The mean number of frames a second; 0 for fewer than two frames."""
        last = self.time(len(self) - 1)
        return (len(self) - 1) / last if last > 0 else 0.0

    def time(self, frame: int) -> float:
        """Return when a frame is shown, in seconds after the first one."""
        return float(self.pts[frame] - self.pts[0]) * self.seconds


def video_index(path: str | Path) -> VideoIndex:
    """Read which frames a file has; remembered for as long as the file does not change.

    Raises:
        VideoError: the file is missing, empty, no video, of a format that is not allowed, has no
            video stream, no decoder or no frame, or its frames have more than `MAX_PIXELS` pixels.
        ImportError: PyAV is not installed.
    """
    path = os.fspath(path)
    key = (path, *check_file(path))
    if key not in _CACHE:
        _CACHE[key] = _read_index(path)
        while len(_CACHE) > 1 and sum(map(len, _CACHE.values())) > _REMEMBERED:
            _CACHE.popitem(last=False)
    return _CACHE[key]


_CACHE: "OrderedDict[tuple[str, int, int], VideoIndex]" = OrderedDict()


def check_file(path: str) -> tuple[int, int]:
    """Return size and time of change of a file that can be read without waiting for ever.

    Raises:
        VideoError: it is missing, empty, or no regular file: a pipe, a folder.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise VideoError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(f"{path}: not a regular file")
    if not status.st_size:
        raise VideoError(f"{path}: the file is empty")
    return status.st_size, status.st_mtime_ns


@contextmanager
def open_video(path: str) -> Iterator[tuple[Any, Any]]:
    """Open a file for one decoding thread: PyAV's container and its video stream.

    Raises:
        VideoError: as `video_index`, but for the frames; and for what FFmpeg raises inside.
    """
    av = import_av()
    check_file(path)
    doing = "not a video that can be read"
    try:
        with av.open(path, options=_OPEN) as container:
            stream = container.streams.best("video")
            if stream is None or stream.disposition & av.stream.Disposition.attached_pic:
                raise VideoError(f"{path}: has no video stream")
            if stream.codec_context is None:
                raise VideoError(
                    f"{path}: this PyAV has no decoder of its codec; re-encode it (ffmpeg -i "
                    f"{Path(path).name} -c:v libx264 OUT.mp4)"
                )
            height, width = stream.codec_context.height, stream.codec_context.width
            if height * width > MAX_PIXELS:
                raise VideoError(
                    f"{path}: frames of {width}x{height} pixels; at most {MAX_PIXELS} are decoded"
                )
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # may change within
            stream.thread_count = 1  # loading processes are many already
            doing = "cannot be decoded"
            yield container, stream
    except av.error.FFmpegError as error:
        if _is_encrypted(path):
            raise VideoError(f"{path}: is encrypted; decrypt it first") from error
        raise VideoError(f"{path}: {doing}: {error.strerror or error}") from error


def import_av() -> ModuleType:
    """Import PyAV, with FFmpeg silent: errors reach the user once, as exceptions.

    Raises:
        ImportError: it is not installed; says how to get it.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError(
            "reading video files needs PyAV: pip install 'nonlocal_det[video]' (or pip install av)"
        ) from error
    av.logging.set_level(av.logging.PANIC)
    return av


def _read_index(path: str) -> VideoIndex:
    with open_video(path) as (container, stream):
        codec = stream.codec_context.name
        pts: list[int | None] = []
        keys: list[int] = []
        for packet in container.demux(stream):
            if packet.is_keyframe and packet.pts is not None:
                keys.append(packet.pts)  # also where an edit list hides it
            if not packet.size or packet.is_discard or (codec == "vp8" and not _is_shown(packet)):
                continue
            pts.append(packet.pts)
        seconds, rate = float(stream.time_base), stream.average_rate
        height, width = stream.codec_context.height, stream.codec_context.width
        # AVI has no order of presentation, and what FFmpeg makes up for B-frames is wrong
        guessed = container.format.name == "avi" and stream.codec_context.has_b_frames
    if not pts:
        raise VideoError(f"{path}: has no frames")
    if None in pts or not keys or guessed:
        times, starts = np.arange(len(pts)), np.empty(0, np.int64)
        seconds = float(1 / rate) if rate else 1 / 25
    else:
        times, starts = np.unique(np.asarray(pts, np.int64)), np.unique(keys)
        # of a cut recording: they refer to frames before the first key frame
        times = times[times >= starts[0]]
    return VideoIndex(times, starts, seconds, (height, width), codec)


def _is_shown(packet: Any) -> bool:
    """Tell a frame of VP8 from one that only others refer to: a bit of its first byte."""
    return bool(bytes(memoryview(packet)[:1])[0] >> 4 & 1)


def _is_encrypted(path: str) -> bool:
    """Look for an encrypted track in the tables of an mp4; FFmpeg calls it damaged."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data[4:8] == b"ftyp" and data.find(b"encv") >= 0
