"""A control for the non-local block: its parameters and its multiply-adds, but no reach.

What such a block gains is capacity; what the non-local block gains beyond it is reach.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from .attention_rows import PairwiseRows
from .block import NonLocalBlock
from .kernels import Operands, run_kernel
from .options import BlockOptions
from .pooling import LeanMaxPool

BANK = 1024
"""So many fixed keys and values are drawn; a map with more key positions uses them again."""


class PerPositionBlock(NonLocalBlock):
    """The non-local block with fixed keys and values in the place of the map's own.

    ``y_i = 1 / C * sum_j f(theta_i, K_j) V_j + sigmoid(phi_i) * g_i`` with as many fixed pairs
    (K_j, V_j) as position i has keys in the non-local block: those of the map, or of its group. K
    and V are drawn once, are buffers and do not learn; phi and g gate each position's own response,
    so that every layer is used. So z_i depends on x_i alone (but for the statistics of a norm in
    training), while parameters and multiply-adds are the non-local block's, exactly.

    Its parameters have the same names, and under one seed the same first values.

    Args:
        in_channels, options, ndim, changes: as of `NonLocalBlock`; ``subsample`` decides the
            number of keys.

    Shape:
        x (N, C, *S) -> z (N, C, *S).

    Raises:
        ValueError, TypeError: as `NonLocalBlock`.

    Note:
        In the gaussian form, which has no phi, g is not gated.

    Example:
        >>> x = torch.rand(1, 64, 7, 9)
        >>> torch.equal(PerPositionBlock(64)(x), x)
        True
    """

    keys: Tensor
    values: Tensor

    def __init__(
        self,
        in_channels: int,
        options: BlockOptions | None = None,
        *,
        ndim: int = 2,
        **changes: Any,
    ) -> None:
        super().__init__(in_channels, options, ndim=ndim, **changes)
        if self.subsample == "before":
            raise ValueError(
                "subsample='before' in a per-position block: phi and g are needed at every "
                "position; use 'after' or 'none'"
            )
        # after the parameters, so that these are what the non-local block draws under this seed
        width = in_channels if self.pairwise == "gaussian" else self.inner_channels
        self.register_buffer("keys", torch.randn(BANK, width))
        self.register_buffer("values", torch.randn(BANK, self.inner_channels))

    def respond(self, x: Tensor) -> Tensor:
        """Compute the response y (N, Ci, *S) of a map x (N, C, *S), each position's from itself."""
        own = self.g(x)
        # (N, Ci, *S) -> (N, P, Ci), in what autocast computes in, also where theta is x
        theta = self.theta(x).to(own.dtype).flatten(2).transpose(1, 2)
        shape, key_shape = tuple(x.shape[2:]), self._key_shape(x)
        if self.groups is None:
            y = self._respond_to_bank(theta, math.prod(key_shape))
        else:
            queries, keys = self.groups.boxes(shape, key_shape)  # as many keys as a group has
            y = queries.merge(self._respond_to_bank(queries.split(theta), math.prod(keys.side)))
        if not isinstance(self.phi, nn.Identity):
            own = torch.sigmoid(self.phi(x)) * own
        # (N, P, Ci) -> (N, Ci, P) -> (N, Ci, *S)
        return y.transpose(1, 2).unflatten(2, x.shape[2:]) + own

    def _respond_to_bank(self, theta: Tensor, count: int) -> Tensor:
        """Compute the response (N, P, Ci) of queries theta (N, P, Ci) to so many fixed keys."""
        which = torch.arange(count, device=theta.device) % BANK
        keys, values = (
            bank[which].to(theta.dtype).expand(theta.shape[0], -1, -1)  # (Q, Ci) -> (N, Q, Ci)
            for bank in (self.keys, self.values)
        )
        operands = Operands(theta, keys, values, self.pairwise, self.scale_factor, self.w_f)
        return run_kernel(self.kernel, operands)

    def _key_shape(self, x: Tensor) -> tuple[int, ...]:
        """Return the sides of the map of keys, without pooling anything."""
        sides = tuple(x.shape[2:])
        if isinstance(self.pool, LeanMaxPool):
            sides = tuple(-(-side // w) for side, w in zip(sides, self.pool.window, strict=True))
        return sides

    def attention(self, x: Tensor, query: tuple[int, ...]) -> Tensor:
        """Refuse: its keys are at no position of the map.

        Raises:
            ValueError: always.
        """
        return self.rows(x).at([0])

    def rows(self, x: Tensor) -> PairwiseRows:
        """Refuse, as `attention`.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "a per-position block (MODEL.NONLOCAL.OPERATION per_position) looks at no position of "
            "the map but its own, so there is no attention to show; leave it out"
        )
