"""Attention within groups of positions of a clip: frames, places, or windows of time.

Groups go into the batch, so every kernel serves them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor

OVER = ("spacetime", "space", "time")
"""Which positions a position of a clip receives from: all; those of its frame; its own at all
times. *Source*: Wang et al., Non-local Neural Networks, Table 2d."""


@dataclass(frozen=True)
class Groups:
    """How the positions of a map (T, H, W) fall into groups that do not see each other.

    Attributes:
        over: one of `OVER`.
        window: time steps of a group; the last one of a clip has what is left; 0: all.
    """

    over: str
    window: int = 0

    def split(self, x: Tensor, shape: tuple[int, ...]) -> list[Tensor]:
        """Put the groups of positions into the batch.

        Args:
            x: (N, P, C), P being the positions of ``shape``.
            shape: T, H, W.

        Returns:
            (N G, P / G, C); twice where the last window is shorter than the others.
        """
        clip = x.unflatten(1, shape)  # (N, P, C) -> (N, T, H, W, C)
        return [self._group(part) for part in self._windows(clip)]

    def split_mask(
        self, mask: Tensor | None, shape: tuple[int, ...]
    ) -> Sequence[Tensor] | Iterator[None]:
        """Put a key mask (N, Q) into groups as `split` does; nothing but None where there is none.

        A group of padding only keeps all its keys: no query of it is real, and a softmax over no
        key would be nan.
        """
        if mask is None:
            return repeat(None)
        parts = [part.squeeze(2) for part in self.split(mask.unsqueeze(2), shape)]
        return [part | ~part.any(1, keepdim=True) for part in parts]

    def merge(self, parts: list[Tensor], shape: tuple[int, ...]) -> Tensor:
        """Undo `split`: (N, P, C)."""
        time, height, width = shape
        steps, clips = self._steps(time), []
        for part, (count, length) in zip(parts, steps, strict=True):
            if self.over == "space":
                grid = part.unflatten(1, (height, width)).unflatten(0, (-1, count * length))
            elif self.over == "time":  # (N n H W, t, C) -> (N n, t, H, W, C)
                grid = part.unflatten(0, (-1, height, width)).permute(0, 3, 1, 2, 4)
                grid = grid.unflatten(0, (-1, count)).flatten(1, 2)
            else:
                grid = part.unflatten(1, (length, height, width))
                grid = grid.unflatten(0, (-1, count)).flatten(1, 2)
            clips.append(grid)  # (N, n t, H, W, C)
        return torch.cat(clips, dim=1).flatten(1, 3)

    def number(self, shape: tuple[int, ...]) -> Tensor:
        """Return the group of each position of a map (T, H, W), (P)."""
        time, height, width = shape
        steps = torch.arange(time).view(-1, 1, 1)
        places = torch.arange(height * width).view(1, height, width)
        windows = steps // self.window if self.window else torch.zeros_like(steps)
        group = {
            "spacetime": windows + 0 * places,
            "space": steps + 0 * places,
            "time": windows * (height * width) + places,
        }[self.over]
        return group.flatten()

    def _steps(self, time: int) -> list[tuple[int, int]]:
        """Return the windows of so many time steps: how many, and how long."""
        time = int(time) if torch.jit.is_tracing() else time  # a recorded size is a tensor
        length = min(self.window or time, time)
        whole, rest = divmod(time, length)
        return [(whole, length), *([(1, rest)] if rest else [])]

    def _windows(self, clip: Tensor) -> list[Tensor]:
        """Cut a clip (N, T, H, W, C) into windows (N n, t, H, W, C)."""
        parts, start = [], 0
        for count, length in self._steps(clip.shape[1]):
            part = clip[:, start : start + count * length]
            parts.append(part.unflatten(1, (count, length)).flatten(0, 1))
            start += count * length
        return parts

    def _group(self, clip: Tensor) -> Tensor:
        if self.over == "space":
            return clip.flatten(0, 1).flatten(1, 2)  # (N, T, H, W, C) -> (N T, H W, C)
        if self.over == "time":
            return clip.permute(0, 2, 3, 1, 4).flatten(0, 2)  # -> (N H W, T, C)
        return clip.flatten(1, 3)
