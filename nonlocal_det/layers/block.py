"""The non-local block of the paper: a residual around the operation, the identity at the start."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from .insertion import InsertedBlock
from .non_local import CONV, NonLocal
from .options import BlockOptions
from .precision import autocast_off
from .sync_norm import SyncBatchNorm

_BATCH_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class NonLocalBlock(NonLocal, InsertedBlock):
    """The non-local block: a residual around the operation, the identity until it has learnt.

    *Source*: Wang et al., Non-local Neural Networks, Eq. 6 and Sec. 4.1: ``z_i = W_z y_i + x_i``,
    with a norm after W_z whose scale starts at 0.

    It is a `NonLocal` with two more layers, ``w_z`` and ``norm``, so that a checkpoint holds
    ``theta, phi, g, w_z, norm`` side by side.

    Args:
        in_channels: C, channels of x and z.
        options: of the block; None: the defaults of `BlockOptions`.
        ndim: dimensions of the feature map: 1, 2 or 3.
        changes: fields of `BlockOptions` by name, instead of ``options``.

    Shape:
        x (N, C, *S) -> z (N, C, *S).

    Raises:
        ValueError, TypeError: as `NonLocal`.

    Note:
        z is float32 where x is float16 and the response may leave float16's range.

    Example:
        >>> x = torch.rand(1, 64, 7, 9)
        >>> torch.equal(NonLocalBlock(64)(x), x)
        True
    """

    def __init__(
        self,
        in_channels: int,
        options: BlockOptions | None = None,
        *,
        ndim: int = 2,
        **changes: Any,
    ) -> None:
        super().__init__(in_channels, options, ndim=ndim, **changes)
        norm = self.options.norm
        # a norm's own shift takes the place of w_z's bias
        self.w_z = CONV[ndim](self.inner_channels, in_channels, 1, bias=not norm)
        self.norm = _build_norm(norm, in_channels, ndim)
        self._reset_output()

    def reset_parameters(self) -> None:
        """Draw all weights anew; the block is then the identity again."""
        super().reset_parameters()
        self._reset_output()

    def _reset_output(self) -> None:
        if isinstance(self.norm, nn.Identity):
            nn.init.zeros_(self.w_z.weight)
            assert self.w_z.bias is not None
            nn.init.zeros_(self.w_z.bias)
            return
        nn.init.kaiming_normal_(self.w_z.weight, mode="fan_in", nonlinearity="linear")
        for parameter in self.norm.parameters():
            nn.init.zeros_(parameter)

    @property
    def zero_init_layer(self) -> nn.Module:
        """The layer that starts at 0: the norm, or w_z where there is none."""
        return self.w_z if isinstance(self.norm, nn.Identity) else self.norm

    def respond(self, x: Tensor) -> Tensor:
        """Compute the response y (N, Ci, *S) of a map x (N, C, *S): the non-local operation."""
        return super().forward(x)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the map z (N, C, *S) of a map x (N, C, *S)."""
        if not torch.jit.is_tracing() and 0 in x.shape[2:]:  # sets without a point
            return x
        y = self.respond(x)
        if y.dtype == torch.float32:  # autocast must not narrow what the kernel kept wide
            with autocast_off(y.device):
                return x + self.norm(self.w_z(y.to(self.w_z.weight.dtype)))
        return x + self.norm(self.w_z(y))


def _build_norm(norm: str, channels: int, ndim: int) -> nn.Module:
    if norm == "BN":
        return _BATCH_NORM[ndim](channels)
    if norm == "SyncBN":
        return SyncBatchNorm(channels)
    if norm == "GN":
        return nn.GroupNorm(math.gcd(32, channels), channels)  # 32 groups where they divide C
    return nn.Identity()
