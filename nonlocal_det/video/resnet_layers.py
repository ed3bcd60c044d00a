"""Layers of a video ResNet: norms and convolutions in 3D, the residual block, the stem.

*Source*: Wang et al., Non-local Neural Networks, Sec. 4.1, Table 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

from detectron2.layers import FrozenBatchNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from nonlocal_det.layers.sync_norm import SyncBatchNorm

Triple = tuple[int, int, int]


class FrozenBatchNorm3d(FrozenBatchNorm2d):
    """Detectron2's frozen batch norm for maps of five dimensions (N, C, T, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift each channel by constants."""
        if not x.requires_grad:
            return super().forward(x)  # F.batch_norm, of any number of dimensions
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        shape = (1, -1, *(1,) * (x.dim() - 2))
        return x * scale.view(shape).to(x.dtype) + shift.view(shape).to(x.dtype)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "BN": nn.BatchNorm3d,
    "SyncBN": SyncBatchNorm,
    "FrozenBN": FrozenBatchNorm3d,
    "GN": lambda channels: nn.GroupNorm(32, channels),
}


class Conv3d(nn.Conv3d):
    """A convolution without bias that is followed by a norm, its child ``norm``.

    Args:
        in_channels, out_channels: as of `torch.nn.Conv3d`.
        kernel: over (T, H, W); the padding keeps the size where the stride is 1.
        stride: over (T, H, W).
        norm: a name of `NORMS`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: Triple, stride: Triple, norm: str
    ) -> None:
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        super().__init__(in_channels, out_channels, kernel, stride, padding, bias=False)
        self.norm = NORMS[norm](out_channels)
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and normalise: (N, C, T, H, W) -> (N, C', T', H', W')."""
        normalised: Tensor = self.norm(super().forward(x))
        return normalised


class ResidualBlock(nn.Module):
    """A residual block with Detectron2's names: ``conv1``, ``conv2``, ``conv3``, ``shortcut``.

    Args:
        in_channels, out_channels: of the block.
        mid_channels: of conv1 and conv2; None: a basic block (R18, R34), which has no conv3.
        stride: over H and W.
        conv1_time, conv2_time: kernel sizes over T of conv1 and conv2.
        stride_in_1x1: the stride is in conv1, as in Caffe's ResNets, not in conv2.
        norm: a name of `NORMS`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mid_channels: int | None,
        *,
        stride: int = 1,
        conv1_time: int = 1,
        conv2_time: int = 1,
        stride_in_1x1: bool = False,
        norm: str = "BN",
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.stride = in_channels, out_channels, stride
        basic = mid_channels is None
        mid = out_channels if mid_channels is None else mid_channels
        first = stride if basic or stride_in_1x1 else 1
        second = stride // first
        side = 3 if basic else 1
        self.conv1 = Conv3d(in_channels, mid, (conv1_time, side, side), (1, first, first), norm)
        self.conv2 = Conv3d(mid, mid, (conv2_time, 3, 3), (1, second, second), norm)
        self.conv3 = None if basic else Conv3d(mid, out_channels, (1, 1, 1), (1, 1, 1), norm)
        self.shortcut: Conv3d | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = Conv3d(in_channels, out_channels, (1, 1, 1), (1, stride, stride), norm)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the block: (N, C, T, H, W) -> (N, C', T, H / stride, W / stride)."""
        y = self.conv2(F.relu_(self.conv1(x)))
        if self.conv3 is not None:
            y = self.conv3(F.relu_(y))
        y += x if self.shortcut is None else self.shortcut(x)
        return F.relu_(y)


@dataclass(frozen=True)
class Stem:
    """Where the stem subsamples time; its spatial strides are always 2, 2 and 1.

    Attributes:
        conv1_stride: time stride of conv1.
        pool1: (kernel, stride, padding) over time of the max pooling after conv1.
        pool1_pad: spatial padding of pool1: 1 gives 56x56 of 224x224, 0 gives 55x55.
        pool2: (kernel, stride, padding) over time of the max pooling between res2 and res3.
    """

    conv1_stride: int
    pool1: Triple
    pool1_pad: int
    pool2: Triple

    @property
    def time_stride(self) -> int:
        """Input frames for each time step of res3 to res5."""
        return self.conv1_stride * self.pool1[1] * self.pool2[1]


STEMS = {
    "paper_text": Stem(conv1_stride=2, pool1=(3, 2, 1), pool1_pad=1, pool2=(3, 2, 1)),
    "paper_code": Stem(conv1_stride=2, pool1=(2, 2, 0), pool1_pad=0, pool2=(2, 2, 0)),
    "fast": Stem(conv1_stride=1, pool1=(1, 1, 0), pool1_pad=0, pool2=(2, 2, 0)),
    "slowfast": Stem(conv1_stride=1, pool1=(1, 1, 0), pool1_pad=1, pool2=(2, 2, 0)),
    "no_pool2": Stem(conv1_stride=1, pool1=(1, 1, 0), pool1_pad=1, pool2=(1, 1, 0)),
    "mmaction2": Stem(conv1_stride=2, pool1=(1, 2, 0), pool1_pad=1, pool2=(2, 2, 0)),
}
"""Stems by whose they are: Table 1's text; the authors' code for 32 and 128 frames; their code for
8 frames (and 32 with stride 4); and other projects', for their weights: SlowFast's, its and
mmaction2's without pooling over time, and mmaction2's I3D."""


class VideoStem(nn.Module):
    """conv1, its norm, a ReLU and pool1.

    Args:
        stem: where time is subsampled.
        conv1_time: kernel size of conv1 over T: 1 in a C2D, 5 in an I3D.
        norm: a name of `NORMS`.
        channels: of the result.
    """

    def __init__(self, stem: Stem, conv1_time: int, norm: str, channels: int = 64) -> None:
        super().__init__()
        self.conv1 = Conv3d(3, channels, (conv1_time, 7, 7), (stem.conv1_stride, 2, 2), norm)
        kernel, stride, padding = stem.pool1
        pad = stem.pool1_pad
        self.pool1 = nn.MaxPool3d((kernel, 3, 3), (stride, 2, 2), (padding, pad, pad))

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, 3, T, H, W) -> (N, 64, T', H / 4, W / 4)."""
        pooled: Tensor = self.pool1(F.relu_(self.conv1(x)))
        return pooled


def freeze_norms(module: nn.Module) -> None:
    """Replace each batch norm by a frozen one with its statistics."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm3d | SyncBatchNorm):
            frozen = FrozenBatchNorm3d(child.num_features, child.eps)
            frozen.load_state_dict(child.state_dict(), strict=False)
            setattr(module, name, frozen)
        else:
            freeze_norms(child)
