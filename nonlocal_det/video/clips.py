"""From a video to clips: which frames, which size, which crops.

*Source*: Wang et al., Non-local Neural Networks, Sec. 5.1 (training: 64 consecutive frames of which
every second is taken, short side 256 to 320, crop 224; testing: 10 clips, spatially full).
"""

import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2

PROTOCOLS = ("authors", "slowfast", "mmaction2")
"""Where the test clips of a video start, by whose evaluation it is."""


def random_start(total: int, span: int) -> int:
    """Draw where a training clip starts; 0 in a video that is not longer than the clip.

    Args:
        total: frames of the video.
        span: frames that the clip covers, its length times its stride.
    """
    return random.randint(0, total - span) if total > span else 0


def even_starts(
    total: int, frames: int, stride: int, clips: int, protocol: str = "authors"
) -> list[int]:
    """Return where the test clips of a video start, evenly.

    Args:
        total: frames of the video.
        frames: of a clip.
        stride: from one to the next.
        clips: how many.
        protocol: one of `PROTOCOLS`. ``authors``: multiples of total / clips, so that the last
            clips go on at the beginning of the video. ``slowfast``: multiples of
            (total - frames x stride) / clips, which never reaches the end. ``mmaction2``: from the
            first clip to the one that ends at the last frame.

    Raises:
        ValueError: the protocol is not among them.

    Example:
        >>> even_starts(300, 8, 8, 10)[:3], even_starts(300, 8, 8, 10, "mmaction2")[:3]
        ([0, 30, 60], [0, 27, 54])
    """
    rest = max(total - frames * stride, 0)
    if protocol == "authors":
        return [int(total / clips * clip) for clip in range(clips)]
    if protocol == "slowfast":
        return [int(rest * clip / clips) for clip in range(clips)]
    if protocol == "mmaction2":
        rest = max(total - (frames - 1) * stride - 1, 0)
        if clips == 1:
            return [rest // 2]
        return [round(rest * clip / (clips - 1)) for clip in range(clips)]
    raise ValueError(
        f"INPUT.VIDEO.CLIPS={protocol!r}; expected one of {', '.join(map(repr, PROTOCOLS))}"
    )


def clip_frames(start: int, frames: int, stride: int, total: int) -> list[int]:
    """Return the frame numbers of a clip; past the end it goes on at the beginning.

    Example:
        >>> clip_frames(6, frames=4, stride=2, total=10)
        [6, 8, 0, 2]
    """
    return [(start + step * stride) % total for step in range(frames)]


def to_clip(frames: np.ndarray) -> Tensor:
    """Turn frames (T, H, W, 3) into a tensor (T, 3, H, W), without a copy and so channels-last."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2)


def train_transform(
    min_size: int, max_size: int, crop: int, flip_probability: float
) -> v2.Transform:
    """Build the augmentation of a training clip: one draw for all of its frames.

    Args:
        min_size: the smallest short side in pixels.
        max_size: the largest, itself included.
        crop: side of the square crop in pixels.
        flip_probability: of a horizontal flip; 0 where left and right are classes.

    Shape:
        uint8 (T, 3, H, W) -> uint8 (T, 3, crop, crop)
    """
    return v2.Compose(
        [
            v2.RandomResize(min_size, max_size + 1, antialias=False),
            v2.RandomCrop(crop),
            v2.RandomHorizontalFlip(flip_probability),
        ]
    )


def resize_short_side(clip: Tensor, size: int) -> Tensor:
    """Resize a uint8 clip (T, 3, H, W) so that its short side has ``size`` pixels."""
    if min(clip.shape[-2:]) == size:
        return clip
    resized: Tensor = v2.functional.resize(clip, [size], antialias=False)
    return resized


def square_crops(clip: Tensor, crops: int) -> list[Tensor]:
    """Cut the test crops of a resized clip: squares of its short side along its long side.

    Args:
        clip: uint8 (T, 3, H, W).
        crops: 3: at both ends and in the middle, of a square clip itself only; 1: in the middle;
            0: the whole frame.

    Raises:
        ValueError: another number.
    """
    height, width = clip.shape[-2:]
    side, rest = min(height, width), abs(height - width)
    if crops == 0:
        return [clip]
    if crops not in (1, 3):
        raise ValueError(f"INPUT.VIDEO.TEST_CROPS={crops}; expected 0 (whole frame), 1 or 3")
    offsets = [rest // 2] if crops == 1 or not rest else [0, rest // 2, rest // 2 * 2]
    if height > width:
        return [clip[..., at : at + side, :] for at in offsets]
    return [clip[..., at : at + side] for at in offsets]


def join_views(views: Sequence[Tensor]) -> Tensor:
    """Stack clips (T, 3, H, W) of equal size to (V, 3, T, H, W)."""
    return torch.stack(list(views)).transpose(1, 2)
