"""Attention within groups of positions: frames, places, windows of time, or regions of a map.

Groups are boxes of positions, or the same place of all boxes. They go into the batch, so every
kernel serves them; what the last box of a side lacks is padding, which is masked.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

OVER = ("spacetime", "space", "time")
"""Which positions a position of a clip receives from: all; those of its frame; its own at all
times. *Source*: Wang et al., Non-local Neural Networks, Table 2d."""


@dataclass(frozen=True)
class Boxes:
    """A map cut into boxes of one size, each of which is a group.

    Attributes:
        shape: *S of the map.
        side: positions of a box in each dimension; what the last box lacks is padding.
        across: the groups are instead the positions at the same place of all boxes.
    """

    shape: tuple[int, ...]
    side: tuple[int, ...]
    across: bool = False

    def split(self, x: Tensor) -> Tensor:
        """Put the groups of positions into the batch: (N, P, C) -> (N G, P / G, C)."""
        ndim, counts = len(self.shape), self._counts()
        lacking = [n * b - s for s, b, n in zip(self.shape, self.side, counts, strict=True)]
        grid = x.unflatten(1, self.shape)  # (N, P, C) -> (N, *S, C)
        if any(lacking):
            grid = F.pad(grid, [0, 0, *(end for d in reversed(lacking) for end in (0, d))])
        for d in range(ndim):  # (N, *S, C) -> (N, n1, b1, n2, b2, ..., C)
            grid = grid.unflatten(2 * d + 1, (counts[d], self.side[d]))
        group, inside = self._axes()
        return grid.permute(0, *group, *inside, 2 * ndim + 1).flatten(0, ndim).flatten(1, ndim)

    def split_mask(self, phi: Tensor, mask: Tensor | None) -> Tensor | None:
        """Put a mask (N, Q) of the keys phi (N, Q, Ci) into groups; None: all keys are real.

        A group of padding only keeps all its keys: no query of it is real, and a softmax over no
        key would be nan.
        """
        if mask is None:
            whole = zip(self.shape, self.side, strict=True)
            if all(s % b == 0 for s, b in whole):
                return None
            mask = phi.new_ones(phi.shape[:2], dtype=torch.bool)
        groups = self.split(mask.unsqueeze(2)).squeeze(2)
        return groups | ~groups.any(1, keepdim=True)

    def merge(self, groups: Tensor) -> Tensor:
        """Undo `split`: (N G, P / G, C) -> (N, P, C)."""
        counts, (group, inside) = self._counts(), self._axes()
        sizes = [size for pair in zip(counts, self.side, strict=True) for size in pair]
        count = [sizes[axis - 1] for axis in group]
        grid = groups.unflatten(1, [sizes[axis - 1] for axis in inside])
        # -1 is unknown for an empty batch; a recorded graph takes other batches by it
        images = -1 if torch.jit.is_tracing() else groups.shape[0] // math.prod(count)
        grid = grid.unflatten(0, [images, *count])
        order = [0, *group, *inside, len(sizes) + 1]
        grid = grid.permute([order.index(axis) for axis in range(len(order))])
        for d, size in enumerate(self.shape):  # (N, n1, b1, ..., C) -> (N, *S, C)
            grid = grid.flatten(d + 1, d + 2).narrow(d + 1, 0, size)
        return grid.flatten(1, len(self.shape))

    def nearest(self, mask: Tensor | None, device: torch.device) -> tuple[Tensor, Tensor, "Boxes"]:
        """Find the real position that stands for each place of each box: itself, or the nearest.

        Without it a place that only some boxes have would not reach the others.

        Args:
            mask: bool (N, P), True where a position is real: before an image's end; None: all are.
            device: of what is returned.

        Returns:
            The positions (N or 1, P'), which of them are in a box that has any, and the boxes of
            these places, which are whole.
        """
        counts = self._counts()
        index = torch.zeros(1, 1, dtype=torch.int64, device=device)
        real = torch.ones(1, 1, dtype=torch.bool, device=device)
        for d, (size, side, count) in enumerate(zip(self.shape, self.side, counts, strict=True)):
            place = torch.arange(count * side, device=device).unsqueeze(0)
            end: int | Tensor = size
            if mask is not None:  # the padding is behind: real positions are counted
                others = [axis + 1 for axis in range(len(self.shape)) if axis != d]
                grid = mask.unflatten(1, self.shape)
                end = (grid.amax(others) if others else grid).sum(1, keepdim=True)  # (N, 1)
            index = index.unsqueeze(2) * size + place.clamp(max=end - 1).unsqueeze(1)
            index = index.flatten(1)
            real = (real.unsqueeze(2) & (place // side * side < end).unsqueeze(1)).flatten(1)
        shape = tuple(count * side for count, side in zip(counts, self.side, strict=True))
        return index, real, replace(self, shape=shape, across=True)

    def number(self) -> Tensor:
        """Return the group of each position, (P)."""
        whole = self.split(torch.zeros(1, math.prod(self.shape), 1)).squeeze(2)  # (G, P / G)
        groups = torch.arange(len(whole)).unsqueeze(1).expand_as(whole)
        return self.merge(groups.unsqueeze(2)).flatten()

    def _counts(self) -> list[int]:
        return [-(-size // side) for size, side in zip(self.shape, self.side, strict=True)]

    def _axes(self) -> tuple[range, range]:
        """The axes of (N, n1, b1, n2, b2, ..., C) that number a group, and those inside it."""
        boxes, inside = range(1, 2 * len(self.side), 2), range(2, 2 * len(self.side) + 1, 2)
        return (inside, boxes) if self.across else (boxes, inside)


@dataclass(frozen=True)
class Groups:
    """How the positions of a map fall into groups that do not see each other.

    Attributes:
        over: one of `OVER`, of a clip (T, H, W).
        window: time steps of a group; the last one of a clip has what is left; 0: all.
        regions: in how many regions each dimension is divided; (): the groups are not regions.
    """

    over: str = "spacetime"
    window: int = 0
    regions: tuple[int, ...] = ()

    def boxes(self, shape: tuple[int, ...], key_shape: tuple[int, ...]) -> tuple[Boxes, Boxes]:
        """Return the groups of the queries of a map *S, and of its keys *K.

        Raises:
            ValueError: there are more regions than positions.
        """
        pool = [-(-s // k) for s, k in zip(shape, key_shape, strict=True)]
        if self.regions:
            if any(r > s for r, s in zip(self.regions, shape, strict=True)):
                raise ValueError(
                    f"regions={list(self.regions)} (MODEL.NONLOCAL.REGIONS) in a map of size "
                    f"{list(shape)}: more regions than positions; give fewer"
                )
            # whole windows of pooling, so that no key belongs to two regions
            key_side = [-(-k // r) for k, r in zip(key_shape, self.regions, strict=True)]
            side = [k * p for k, p in zip(key_side, pool, strict=True)]
        else:
            time, *space = shape
            time = int(time) if torch.jit.is_tracing() else time  # a recorded size is a tensor
            window = min(self.window or time, time)
            side = {"space": [1, *space], "time": [window, 1, 1]}.get(self.over, [window, *space])
            key_side = [-(-s // p) for s, p in zip(side, pool, strict=True)]
        return Boxes(shape, tuple(side)), Boxes(key_shape, tuple(key_side))

    @property
    def has_several_regions(self) -> bool:
        """Whether a second pass has responses of several regions to combine."""
        return math.prod(self.regions) > 1
