"""Where a video model's blocks attend from a point of a frame, in the clip around it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nonlocal_det.video.clips import clip_frames, resize_short_side, to_clip
from nonlocal_det.video.decoding import get_reader
from nonlocal_det.video.index import video_index
from nonlocal_det.visualization import (
    AttentionMap,
    AttentionMaps,
    clip_attention_figure,
    clip_attention_frames,
    describe_map,
    draw_over_time,
    query_independence,
    record_attention,
    short_name,
)
from nonlocal_det.visualization.video_scores import write_mp4

from .clip_classifier import ClipClassifier

SECONDS = 0.2
"""How long the film shows a frame: longer than the video, which is too quick for arrows."""

VideoPoint = tuple[float, float, int]
"""x and y in pixels of a video's frames, and the number of a frame, counted from 0."""


@dataclass(frozen=True)
class RecordedClip:
    """A clip of a video, what a model makes of it, and where its blocks attended.

    Attributes:
        frames: uint8 RGB (T, H, W, 3), the whole frames as large as the network got them.
        numbers: of the frames in the video.
        labels: number and time of each frame, in words.
        probabilities: of the classes, (K,).
        maps: their points are (x, y, frame), the frame's place in the clip.
    """

    frames: np.ndarray
    numbers: tuple[int, ...]
    labels: tuple[str, ...]
    probabilities: np.ndarray
    maps: AttentionMaps

    def at(self, block: str, point: VideoPoint) -> AttentionMap:
        """Return where a block attends from a point of the video.

        Raises:
            ValueError: the frame is not in the clip; or as `AttentionMaps.at`.
        """
        x, y, frame = point
        if frame not in self.numbers:
            numbers = ", ".join(map(str, self.numbers))
            raise ValueError(f"frame {frame} is not in the clip; its frames are {numbers}")
        return self.maps.at(block, (x, y, self.numbers.index(frame)))

    def independence(self, block: str) -> float:
        """Measure `query_independence` of a block, among 64 queries of the clip at most."""
        return query_independence(self.maps.at_grid(block))


def parse_point(text: str) -> VideoPoint:
    """Parse the query of a command line, ``X,Y,FRAME``.

    Raises:
        ValueError: it is none.
    """
    try:
        x, y, frame = text.split(",")
        return float(x), float(y), int(frame)
    except ValueError as error:
        raise ValueError(
            f"--query {text!r}: expected X,Y,FRAME: a point in pixels and the number of a frame"
        ) from error


@torch.no_grad()
def record_clip(classifier: ClipClassifier, path: str | Path, frame: int) -> RecordedClip:
    """Run a model on the clip around a frame, of whole frames, and record its blocks.

    Args:
        classifier: the model.
        path: of a video file.
        frame: a number; the middle of the clip, or as near to it as the video's ends allow.

    Raises:
        ValueError: the video has no such frame, or the model no block.
        VideoError: the file cannot be read.
    """
    index, options = video_index(path), classifier.cfg.INPUT.VIDEO
    if not 0 <= frame < len(index):
        raise ValueError(
            f"frame {frame} is outside of {path}, which has {len(index)} frames; give "
            f"0..{len(index) - 1}"
        )
    start = _clip_start(frame, options.FRAMES, options.STRIDE, len(index))
    numbers = clip_frames(start, options.FRAMES, options.STRIDE, len(index))
    pixels = to_clip(get_reader(options.READER)(path, numbers))  # (T, 3, H, W)
    height, width = pixels.shape[-2:]
    clip = resize_short_side(pixels, options.TEST_SIZE)
    view = clip.transpose(0, 1)[None]  # -> (1, 3, T, h, w)
    with record_attention(classifier.model) as maps:
        (output,) = classifier.model([{"video": view, "height": height, "width": width}])
    return RecordedClip(
        clip.permute(0, 2, 3, 1).numpy(),
        tuple(numbers),
        tuple(f"frame {k}, {index.time(k):.2f} s" for k in numbers),
        classifier.probabilities(output["scores"]),
        maps,
    )


def _clip_start(frame: int, frames: int, stride: int, total: int) -> int:
    """Return where a clip starts that has a frame in its middle, or as near as the ends allow."""
    before = min(max(frames // 2, frames - 1 - (total - 1 - frame) // stride), frame // stride)
    return frame - before * stride


def write_clip_attention(
    classifier: ClipClassifier,
    path: str | Path,
    stem: Path,
    points: Sequence[VideoPoint],
    *,
    blocks: Sequence[str] = (),
    film: bool = True,
) -> list[Path]:
    """Write pictures, films and numbers of the attention from points of a video.

    Args:
        classifier: the model.
        path: of the video file.
        stem: the files' names begin with it: ``STEM_X_Y_FRAME_BLOCK.png`` and ``.mp4``,
            ``STEM_X_Y_FRAME_time.png`` and ``STEM_attention.json``.
        points: the queries; none: nothing is written.
        blocks: names; none: all of the model.
        film: whether the mp4 is written.

    Returns:
        The files.

    Raises:
        ValueError: a point outside of the video, or an unknown block.
        VideoError: the file cannot be read.
    """
    rows: list[dict[str, Any]] = []
    written: list[Path] = []
    for x, y, frame in points:
        clip = record_clip(classifier, path, frame)
        names = [clip.maps.find(name) for name in blocks] or clip.maps.blocks
        attentions = [clip.at(name, (x, y, frame)) for name in names]
        begin = f"{stem.name}_{x:g}_{y:g}_{frame}"
        for attention in attentions:
            independence = clip.independence(attention.block)
            rows.append(
                {
                    **{"block": attention.block, "query": [x, y, frame]},
                    **describe_map(attention),
                    **{"query_independence": independence, "frames": clip.numbers},
                    "over_time": attention.over_time.tolist(),
                }
            )
            picture = stem.with_name(f"{begin}_{short_name(attention.block)}.png")
            clip_attention_figure(clip.frames, attention, clip.labels).savefig(picture, dpi=110)
            written.append(picture)
            if film:
                drawn = clip_attention_frames(clip.frames, attention, clip.labels)
                times = [SECONDS * k for k in range(len(clip.frames))]
                written.append(write_mp4(picture.with_suffix(".mp4"), drawn, times))
        written.append(draw_over_time(attentions, clip.labels, stem.with_name(f"{begin}_time.png")))
    if rows:
        written.append(stem.with_name(f"{stem.name}_attention.json"))
        written[-1].write_text(json.dumps(rows, indent=1))
    return written
