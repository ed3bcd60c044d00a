"""The non-local operation of the paper, for 1D, 2D and 3D feature maps."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from .attention_rows import PairwiseRows
from .groups import Boxes
from .kernels import Operands, run_kernel
from .options import BlockOptions
from .padding import Padding, padding_of
from .pooling import LeanMaxPool
from .precision import at_least_float32

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class NonLocal(nn.Module):
    """The non-local operation: every position receives from every other one.

    *Source*: Wang et al., Non-local Neural Networks, Eq. 1:
    ``y_i = 1 / C(x) * sum_j f(x_i, x_j) g(x_j)``, with theta, phi and g 1x1 convolutions.

    Args:
        in_channels: C, channels of x.
        options: of the operation; ``norm`` is the block's, not used here.
        ndim: dimensions of the feature map: 1, 2 or 3.
        changes: fields of `BlockOptions` by name, instead of ``options``.

    Shape:
        x (N, C, *S) -> y (N, Ci, *S), S being (L), (H, W) or (T, H, W).
        N may be 0; sides may be odd or 1.

    Raises:
        ValueError: as `BlockOptions`; ``ndim`` is not 1, 2 or 3, the inner width is below 1, or an
            input has another rank or width.
        TypeError: a name in ``changes`` is no field of `BlockOptions`, or ``options`` is there too.

    Note:
        DEVIATION: with ``regions`` it is another function than the paper's, never chosen unasked:
        the positions of each region respond to each other, and then those at the same place of all
        regions, with these responses for g, each pass with its own 1 / C: P (P / G + G) pairs of G
        regions instead of P^2. The second pass has one key a region, and subsamples nothing; where
        the last region is smaller, the nearest position is the same place. Regions divide the map
        with its padding, so an image's result depends on the size that it is padded to.

        DEVIATION: pooling keeps the last row and column of an odd map as a window of their own
        (ceil mode); flooring, usual elsewhere, would make those positions invisible as keys.

    Example:
        >>> NonLocal(64, pairwise="dot_product")(torch.zeros(2, 64, 7, 9)).shape
        torch.Size([2, 32, 7, 9])
    """

    def __init__(
        self,
        in_channels: int,
        options: BlockOptions | None = None,
        *,
        ndim: int = 2,
        **changes: Any,
    ) -> None:
        super().__init__()
        if options is not None and changes:
            raise TypeError(f"give options or {', '.join(changes)}, not both")
        self.options = options or BlockOptions(**changes)
        check_ndim(ndim)
        self.groups, regions = self.options.groups, self.options.regions
        if regions and len(regions) != ndim:
            raise ValueError(
                f"regions={list(regions)} (MODEL.NONLOCAL.REGIONS) with ndim={ndim}: give a number "
                "of regions for each dimension of the map"
            )
        if self.groups and not regions and ndim != 3:
            raise ValueError(
                f"over={self.options.over!r}, window={self.options.window} with ndim={ndim}: only "
                "clips (T, H, W) have a time; use 'spacetime' and 0"
            )
        self.in_channels, self.ndim = in_channels, ndim
        self.inner_channels = self.options.width(in_channels)
        self.pairwise, self.kernel = self.options.pairwise, self.options.kernel
        self.subsample, self.scale = self.options.subsample, self.options.scale
        self.padding_of_batch: Padding | None = None  # see layers/padding.py
        self._build()
        NonLocal.reset_parameters(self)  # not a subclass's, whose layers are not there yet

    def _build(self) -> None:
        conv, c, ci = CONV[self.ndim], self.in_channels, self.inner_channels
        embedded = self.pairwise != "gaussian"
        self.theta: nn.Module = conv(c, ci, 1) if embedded else nn.Identity()
        self.phi: nn.Module = conv(c, ci, 1) if embedded else nn.Identity()
        self.g = conv(c, ci, 1)
        self.w_f = nn.Parameter(torch.empty(2 * ci)) if self.pairwise == "concatenation" else None
        window = (1, 2, 2) if self.ndim == 3 else (2,) * self.ndim
        self.pool: nn.Module = nn.Identity()
        if self.subsample != "none":
            self.pool = LeanMaxPool(window)

    def reset_parameters(self) -> None:
        """Draw all weights anew, as ``init`` says; biases are 0."""
        for layer in (self.theta, self.phi, self.g):
            if not isinstance(layer, _ConvNd):
                continue  # the gaussian form has no theta and no phi
            if self.options.init == "he":
                nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            else:
                nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        if self.w_f is not None:
            nn.init.normal_(self.w_f, std=1 / math.sqrt(self.inner_channels))  # He: sqrt(2 / 2Ci)

    @property
    def scale_factor(self) -> float:
        """The factor on theta . phi: 1, or the inverse square root of the width of that product."""
        width = self.in_channels if self.pairwise == "gaussian" else self.inner_channels
        return width**-0.5 if self.scale else 1.0

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Embed a map x (N, C, *S), and tell which keys are real.

        Returns:
            theta (N, P, Ci), phi (N, Q, Ci), g (N, Q, Ci) and the key mask (N, Q), which is None
            where no padding is known. In the gaussian form theta and phi are x, so C wide. A
            subsampled key is real when any of its positions is, and takes their maximum alone.
        """
        theta, phi, g, keys = self._embed(x)[:4]
        return theta, phi, g, keys

    def _embed(
        self, x: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor, Tensor | None]:
        """As `project`, and phi (N, P, Ci) with its mask (N, P) before it is subsampled."""
        if x.dim() != self.ndim + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (N, {self.in_channels}, *S) with "
                f"{self.ndim} dimension(s) in S"
            )
        padding = padding_of(self)
        mask = None if padding is None else padding.mask(x)
        key_mask = None if mask is None else self.pool(mask.to(x.dtype)) > 0
        source = self._pool(x, mask, key_mask) if self.subsample == "before" else x
        phi, g = self.phi(source), self.g(source)
        whole_phi = self.phi(x) if self.subsample == "before" and self.options.regions else phi
        if self.subsample == "after":
            phi, g = self._pool(phi, mask, key_mask), self._pool(g, mask, key_mask)
        keys, positions = (None if m is None else m.flatten(1) for m in (key_mask, mask))
        theta, phi, g, whole_phi = map(_positions_first, (self.theta(x), phi, g, whole_phi))
        return theta, phi, g, keys, whole_phi, positions

    def _pool(self, x: Tensor, mask: Tensor | None, key_mask: Tensor | None) -> Tensor:
        """Pool without looking at padding; a window of padding only gives 0."""
        if mask is None or key_mask is None:
            pooled: Tensor = self.pool(x)
            return pooled
        pooled = self.pool(x.masked_fill(~mask, float("-inf")))
        return pooled.masked_fill(~key_mask, 0.0)

    def attention(self, x: Tensor, query: tuple[int, ...]) -> Tensor:
        """Return where one query position looks: its affinity f / C with every key position.

        Args:
            x: the map that goes into the operation.
            query: the position i in x, as (y, x) in 2D.

        Shape:
            x (N, C, *S) -> (N, *K), K being S halved, rounded up, where keys are subsampled.

        Returns:
            The affinities, one row of the P x Q matrix: O(Q Ci) after the projections.
        """
        i = sum(at * math.prod(x.shape[3 + axis :]) for axis, at in enumerate(query))
        return self.rows(x).at([i]).squeeze(1)  # (N, 1, *K) -> (N, *K)

    def rows(self, x: Tensor) -> PairwiseRows:
        """Return the rows of the affinity of a map x (N, C, *S), computed when asked for."""
        theta, phi, _, key_mask, whole_phi, mask = self._embed(x)
        return PairwiseRows(
            shape=tuple(x.shape[2:]),
            key_shape=self._key_shape(x),
            groups=self.groups,
            whole_phi=at_least_float32(whole_phi),
            mask=mask,
            theta=at_least_float32(theta),
            phi=at_least_float32(phi),
            pairwise=self.pairwise,
            scale=self.scale_factor,
            w_f=self.w_f,
            key_mask=key_mask,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the response y (N, Ci, *S) of a map x (N, C, *S)."""
        theta, phi, g, key_mask, whole_phi, mask = self._embed(x)
        shape, groups = tuple(x.shape[2:]), self.groups
        if groups is None:
            y = self._respond(theta, phi, g, key_mask)
        else:
            boxes = groups.boxes(shape, self._key_shape(x))
            y = self._respond_in(boxes, theta, phi, g, key_mask)
            if groups.has_several_regions:
                y = self._respond_across(boxes[0], theta, whole_phi, y, mask)
        # (N, P, Ci) -> (N, Ci, P) -> (N, Ci, *S)
        return y.transpose(1, 2).unflatten(2, shape)

    def _respond_in(
        self,
        boxes: tuple[Boxes, Boxes],
        theta: Tensor,
        phi: Tensor,
        g: Tensor,
        key_mask: Tensor | None,
    ) -> Tensor:
        """Compute the response of each group of queries to its own group of keys."""
        queries, keys = boxes
        mask = keys.split_mask(phi, key_mask)
        y = self._respond(queries.split(theta), keys.split(phi), keys.split(g), mask)
        return queries.merge(y)

    def _respond_across(
        self, regions: Boxes, theta: Tensor, phi: Tensor, g: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Compute the response of each position to the same place of every region."""
        index, real, keys = regions.nearest(mask, theta.device)
        index, real = (i.expand(theta.shape[0], -1) for i in (index, real))
        phi, g = (t.gather(1, index.unsqueeze(2).expand(-1, -1, t.shape[2])) for t in (phi, g))
        queries = replace(regions, across=True)
        key_mask = keys.split_mask(phi, real)
        y = self._respond(queries.split(theta), keys.split(phi), keys.split(g), key_mask)
        return queries.merge(y)

    def _respond(self, theta: Tensor, phi: Tensor, g: Tensor, key_mask: Tensor | None) -> Tensor:
        return run_kernel(
            self.kernel,
            Operands(theta, phi, g, self.pairwise, self.scale_factor, self.w_f, key_mask),
        )

    def _key_shape(self, x: Tensor) -> tuple[int, ...]:
        return tuple(self.pool(x[:, :1]).shape[2:])

    def extra_repr(self) -> str:
        """What a printed model says of this block."""
        groups = f", {self.groups}" if self.groups else ""
        return (
            f"pairwise={self.pairwise}, kernel={self.kernel}, subsample={self.subsample}, "
            f"scale={self.scale}{groups}"
        )


def check_ndim(ndim: int) -> None:
    """Refuse a number of dimensions that no convolution has."""
    if ndim not in CONV:
        raise ValueError(f"ndim={ndim!r}; expected 1, 2 or 3")


def _positions_first(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)  # (N, C, *S) -> (N, C, P) -> (N, P, C)
