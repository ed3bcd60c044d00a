"""The global context block: one map of attention for all queries, the non-local block's rival."""

import torch
from torch import Tensor, nn

from .attention_rows import SharedRow
from .insertion import InsertedBlock
from .non_local import CONV, check_ndim
from .options import BlockOptions
from .padding import padding_of
from .precision import at_least_float32, autocast_off


class GlobalContextBlock(InsertedBlock):
    """What every position receives is the same: a summary of the map.

    *Source*: Cao et al., GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond,
    2019, Sec. 3.3: ``z_i = x_i + W_v2 ReLU(LN(W_v1 sum_j softmax_j(W_k x_j) x_j))``.

    Written from that equation. W_v2 starts at 0, so the block starts as the identity.

    Args:
        in_channels: C, channels of x and z.
        bottleneck_ratio: width of W_v1 over C, that paper's 1 / r with r = 16.
        ndim: dimensions of the feature map: 1, 2 or 3.

    Shape:
        x (N, C, *S) -> z (N, C, *S).

    Raises:
        ValueError: ``ndim`` is not 1, 2 or 3, or the inner width is below 1.

    Note:
        Positions that see only padding weigh nothing; see layers/padding.py.

    Example:
        >>> x = torch.rand(1, 64, 7, 9)
        >>> torch.equal(GlobalContextBlock(64)(x), x)
        True
    """

    def __init__(
        self, in_channels: int, *, bottleneck_ratio: float = 1 / 16, ndim: int = 2
    ) -> None:
        super().__init__()
        check_ndim(ndim)
        self.in_channels = in_channels
        self.inner_channels = BlockOptions(bottleneck_ratio=bottleneck_ratio).width(in_channels)
        self.w_k = CONV[ndim](in_channels, 1, 1)
        self.w_v1 = nn.Linear(in_channels, self.inner_channels)
        self.norm = nn.LayerNorm(self.inner_channels)
        self.w_v2 = nn.Linear(self.inner_channels, in_channels)
        for layer in (self.w_k, self.w_v1):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        for parameter in self.w_v2.parameters():
            nn.init.zeros_(parameter)

    @property
    def zero_init_layer(self) -> nn.Module:
        """The layer that starts at 0."""
        return self.w_v2

    def weights(self, x: Tensor) -> Tensor:
        """Compute the weight of each position: (N, C, *S) -> (N, 1, *S), adding up to 1."""
        scores = at_least_float32(self.w_k(x))
        padding = padding_of(self)
        mask = None if padding is None else padding.mask(x)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return scores.flatten(2).softmax(-1).unflatten(2, x.shape[2:])  # (N, 1, *S) over P

    def attention(self, x: Tensor, query: tuple[int, ...]) -> Tensor:
        """Return where a query position looks: the same for every ``query``.

        Shape:
            x (N, C, *S) -> (N, *S).
        """
        return self.weights(x).squeeze(1)

    def rows(self, x: Tensor) -> SharedRow:
        """Return the one row that all query positions of a map x (N, C, *S) share."""
        padding = padding_of(self)
        mask = None if padding is None else padding.mask(x)
        keys = None if mask is None else mask.flatten(1)  # (N, 1, *S) -> (N, P)
        with autocast_off(x.device):
            weights = self.weights(x.to(self.w_k.weight.dtype)).squeeze(1)  # (N, 1, *S) -> (N, *S)
        return SharedRow(tuple(x.shape[2:]), weights, keys)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the map z (N, C, *S) of a map x (N, C, *S)."""
        with autocast_off(x.device):
            wide = x.to(self.w_k.weight.dtype)
            weights = self.weights(wide).to(wide.dtype).flatten(2).transpose(1, 2)  # (N, P, 1)
            summary = torch.matmul(wide.flatten(2), weights).squeeze(2)  # (N, C, P) @ (N, P, 1)
            change = self.w_v2(torch.relu(self.norm(self.w_v1(summary))))  # (N, C)
        return x + change.to(x.dtype).view(*change.shape, *[1] * (x.dim() - 2))
