"""From a record of a video data set to what the model takes: a training clip, or all test views."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from detectron2.config import CfgNode
from torch import Tensor

from .clips import (
    clip_frames,
    even_starts,
    join_views,
    random_start,
    resize_short_side,
    square_crops,
    to_clip,
    train_transform,
)
from .decoding import get_reader
from .index import VideoIndex, video_index

Record = dict[str, Any]

MAX_BYTES = 2**28
"""Bytes of frames that are held at once; above, the clips of a video are read one by one."""


def without_augmentation(cfg: CfgNode) -> CfgNode:
    """Return a config whose training clips are not flipped, and as large as a test's crops."""
    cfg = cfg.clone()
    cfg.defrost()
    data = cfg.INPUT.VIDEO
    data.MIN_SIZE_TRAIN = data.MAX_SIZE_TRAIN = data.CROP = data.TEST_SIZE
    data.FLIP = 0.0
    return cfg


class VideoMapper:
    """Read the clip, or the test views, of a record.

    Random numbers come from the global generators of python and torch, which the training's stream
    seeds for each sample: which clip, scale, crop and flip a sample gets depends on the seed and
    the sample's number only.

    Args:
        cfg: reads ``INPUT.VIDEO`` and ``MODEL.VIDEO.LOSS``.
        is_train: one random clip with augmentation, or all test views without.

    Raises:
        ImportError: the reader cannot be loaded.
        ValueError: the reader is not among its names, its time is not above 0, or a training crop
            is larger than the smallest short side.
    """

    def __init__(self, cfg: CfgNode, is_train: bool) -> None:
        self.options, self.is_train = cfg.INPUT.VIDEO, is_train
        self.several_labels = cfg.MODEL.VIDEO.LOSS == "sigmoid"
        read = get_reader(self.options.READER)
        self.read = partial(read, max_seconds=self.options.MAX_SECONDS)
        low, high, crop = (self.options[k] for k in ("MIN_SIZE_TRAIN", "MAX_SIZE_TRAIN", "CROP"))
        if self.options.MAX_SECONDS <= 0:
            raise ValueError(
                f"INPUT.VIDEO.MAX_SECONDS={self.options.MAX_SECONDS:g}; expected seconds above 0"
            )
        if not crop <= low <= high:
            raise ValueError(
                f"INPUT.VIDEO: CROP={crop}, MIN_SIZE_TRAIN={low}, MAX_SIZE_TRAIN={high}; expected "
                "them in this order, each at most the next"
            )
        self.augment = train_transform(low, high, crop, self.options.FLIP)

    @property
    def span(self) -> int:
        """Frames of the video that a clip covers."""
        span: int = self.options.FRAMES * self.options.STRIDE
        return span

    def __call__(self, record: Record) -> Record:
        """Read a record.

        Args:
            record: ``file_name``, ``video_id``, and ``label`` (a class, or a list of them) or
                ``actions`` (a list of class, start and end in seconds).

        Returns:
            The record with ``video``: uint8 (3, T, H, W) in training, (V, 3, T, H, W) in testing;
            ``frames``, the frame numbers of each clip; ``label``; ``repeated``, whether the video
            is shorter than a clip.

        Raises:
            VideoError: the file cannot be read.
        """
        index = video_index(record["file_name"])
        if self.is_train:
            starts = [random_start(len(index), self.span)]
        else:
            o = self.options
            starts = even_starts(len(index), o.FRAMES, o.STRIDE, o.TEST_CLIPS, o.CLIPS)
        clips = [self._frames(start, index) for start in starts]
        views = self._views(self._read(record["file_name"], clips, index))
        return {
            **{key: value for key, value in record.items() if key != "actions"},
            "video": join_views(views)[0] if self.is_train else join_views(views),
            "frames": clips,
            "label": self._label(record, clips, index),
            "repeated": len(index) < self.span,
        }

    def unreadable(self, record: Record) -> Record:
        """Return what stands for a record whose file cannot be read: an evaluation counts it.

        Returns:
            As calling the mapper, with a black view and ``unreadable``.
        """
        side, label = self.options.TEST_SIZE, record.get("label")
        if "actions" in record:
            label = sorted({action[0] for action in record["actions"]})
        return {
            **{key: value for key, value in record.items() if key != "actions"},
            "video": torch.zeros(1, 3, self.options.FRAMES, side, side, dtype=torch.uint8),
            "label": [label] if self.several_labels and isinstance(label, int) else label,
            "unreadable": True,
        }

    def _frames(self, start: int, index: VideoIndex) -> list[int]:
        return clip_frames(start, self.options.FRAMES, self.options.STRIDE, len(index))

    def _read(
        self, path: str, clips: Sequence[Sequence[int]], index: VideoIndex
    ) -> Iterator[Tensor]:
        """Read all clips, in one pass over the file if they fit: (T, 3, H, W) each."""
        needed = sorted({frame for clip in clips for frame in clip})
        if len(needed) * index.size[0] * index.size[1] * 3 > MAX_BYTES:
            yield from (to_clip(self.read(path, clip)) for clip in clips)
            return
        place = {frame: at for at, frame in enumerate(needed)}
        frames = to_clip(self.read(path, needed))
        yield from (frames[[place[frame] for frame in clip]] for clip in clips)

    def _views(self, clips: Iterator[Tensor]) -> list[Tensor]:
        if self.is_train:
            augmented: list[Tensor] = [self.augment(clip) for clip in clips]
            return augmented
        size, crops = self.options.TEST_SIZE, self.options.TEST_CROPS
        return [
            crop for clip in clips for crop in square_crops(resize_short_side(clip, size), crops)
        ]

    def _label(
        self, record: Record, clips: Sequence[Sequence[int]], index: VideoIndex
    ) -> int | list[int]:
        """Return the record's label; in training, of its actions those within the clip."""
        if "actions" not in record:
            label: int | list[int] = record["label"]
            return [label] if self.several_labels and isinstance(label, int) else label
        begin, end = -torch.inf, torch.inf
        if self.is_train:
            begin, end = index.time(min(clips[0])), index.time(max(clips[0]))
        actions = record["actions"]
        return sorted({c for c, start, stop in actions if start <= end and stop >= begin})
