"""C2D and I3D ResNets: a ResNet over space whose convolutions may reach over time.

*Source*: Wang et al., Non-local Neural Networks, Sec. 4.1, Table 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

from detectron2.config import CfgNode
from detectron2.layers import FrozenBatchNorm2d, ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone
from torch import Tensor, nn
from torch.nn import functional as F

from nonlocal_det.layers import BlockOptions, checkpoint_gradients, insert_blocks
from nonlocal_det.layers.sync_norm import SyncBatchNorm

Triple = tuple[int, int, int]

STAGES = ("res2", "res3", "res4", "res5")

BLOCKS_PER_STAGE = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Residual blocks of res2, res3, res4, res5 by depth."""

INFLATE = ("", "3x1x1", "3x3x3")
"""C2D; I3D whose first convolution of a residual block spans 3 frames; I3D whose 3x3 does."""


@dataclass(frozen=True)
class Stem:
    """Where the stem subsamples time; its spatial strides are always 2, 2 and 1.

    Attributes:
        conv1_stride: time stride of conv1.
        pool1: (kernel, stride, padding) over time of the max pooling after conv1.
        pool1_pad: spatial padding of pool1: 1 gives 56x56 of 224x224, 0 gives 55x55.
        pool2: (kernel, padding) over time of the max pooling of stride 2 between res2 and res3.
    """

    conv1_stride: int
    pool1: Triple
    pool1_pad: int
    pool2: tuple[int, int]

    @property
    def time_stride(self) -> int:
        """Input frames for each time step of res3 to res5."""
        return self.conv1_stride * self.pool1[1] * 2


STEMS = {
    "paper_text": Stem(conv1_stride=2, pool1=(3, 2, 1), pool1_pad=1, pool2=(3, 1)),
    "paper_code": Stem(conv1_stride=2, pool1=(2, 2, 0), pool1_pad=0, pool2=(2, 0)),
    "fast": Stem(conv1_stride=1, pool1=(1, 1, 0), pool1_pad=0, pool2=(2, 0)),
    "slowfast": Stem(conv1_stride=1, pool1=(1, 1, 0), pool1_pad=1, pool2=(2, 0)),
    "mmaction2": Stem(conv1_stride=2, pool1=(1, 2, 0), pool1_pad=1, pool2=(2, 0)),
}
"""Stems by whose they are: Table 1's text; the authors' code for 32 and 128 frames; their code for
8 frames (and 32 with stride 4); and two other projects', for their weights."""


def reaches_over_time(stage: str, index: int) -> bool:
    """Say whether an I3D's residual block has a temporal kernel.

    The paper inflates one of every two blocks. As in the authors' code, that is all of res2, the
    even ones of res3 and res4, the odd ones of res5.

    Args:
        stage: one of `STAGES`.
        index: of the residual block, from 0.
    """
    if stage == "res2":
        return True
    return index % 2 == (1 if stage == "res5" else 0)


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
        y = F.relu(self.conv1(x))
        y = self.conv2(y)
        if self.conv3 is not None:
            y = self.conv3(F.relu(y))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


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
        pooled: Tensor = self.pool1(F.relu(self.conv1(x)))
        return pooled


class VideoResNet(Backbone):
    """A C2D or I3D ResNet for clips, with the names of Detectron2's ResNet.

    *Source*: Wang et al., Non-local Neural Networks, Sec. 4.1 and Table 1. A C2D's kernels are all
    1 over time, so its 2D weights fit by a new axis; an I3D's are inflated in every second
    residual block.

    Args:
        depth: 18, 34, 50, 101 or 152.
        inflate: one of `INFLATE`.
        stem: a name of `STEMS`.
        norm: a name of `NORMS`.
        width: channels of the stem and of the inner convolutions of res2; the other widths follow.
        stride_in_1x1: the spatial stride of a bottleneck is in its first convolution.
        freeze_at: freeze the stem (1), and res2 (2), res3 (3), ... ; 0 freezes nothing.
        out_features: which of ``res2``, ..., ``res5`` `forward` returns.

    Shape:
        x (N, 3, T, H, W) -> {name: (N, C, T', H', W')}; res5 of Table 1 is 4x7x7 of 32x224x224.

    Raises:
        ValueError: an option is not among its names, or a feature is not a stage.
    """

    def __init__(
        self,
        depth: int = 50,
        *,
        inflate: str = "",
        stem: str = "paper_code",
        norm: str = "BN",
        width: int = 64,
        stride_in_1x1: bool = False,
        freeze_at: int = 0,
        out_features: Sequence[str] = ("res5",),
    ) -> None:
        super().__init__()
        for key, value, known in (
            ("MODEL.RESNETS.DEPTH", depth, BLOCKS_PER_STAGE),
            ("MODEL.VIDEO.INFLATE", inflate, INFLATE),
            ("MODEL.VIDEO.STEM", stem, STEMS),
            ("MODEL.RESNETS.NORM", norm, NORMS),
            *(("MODEL.RESNETS.OUT_FEATURES", name, STAGES) for name in out_features),
        ):
            if value not in known:
                expected = ", ".join(map(repr, known))
                raise ValueError(f"{key}={value!r}; expected one of {expected}")
        self._time_stride = STEMS[stem].time_stride
        self.stem = VideoStem(STEMS[stem], 5 if inflate else 1, norm, width)
        kernel, padding = STEMS[stem].pool2
        self.pool2 = nn.MaxPool3d((kernel, 1, 1), (2, 1, 1), (padding, 0, 0))
        self._out_features = list(out_features)
        self._out_feature_channels: dict[str, int] = {}
        self._out_feature_strides: dict[str, int] = {}
        channels, basic = width, depth < 50
        for place, (name, count) in enumerate(zip(STAGES, BLOCKS_PER_STAGE[depth], strict=True)):
            inner = width * 2**place
            stage = nn.Sequential()
            for index in range(count):
                time = 3 if inflate and reaches_over_time(name, index) else 1
                block = ResidualBlock(
                    channels,
                    inner if basic else 4 * inner,
                    None if basic else inner,
                    stride=2 if place and not index else 1,
                    conv1_time=time if inflate == "3x1x1" else 1,
                    conv2_time=time if inflate == "3x3x3" else 1,
                    stride_in_1x1=stride_in_1x1,
                    norm=norm,
                )
                stage.add_module(str(index), block)
                channels = block.out_channels
            self.add_module(name, stage)
            self._out_feature_channels[name] = channels
            self._out_feature_strides[name] = 4 * 2**place
        self.freeze(freeze_at)

    @property
    def stages(self) -> dict[str, nn.Sequential]:
        """The stages by name; their numbered children are the residual blocks."""
        return {name: self.get_submodule(name) for name in STAGES}

    def freeze(self, freeze_at: int) -> "VideoResNet":
        """Stop the first layers from learning, as Detectron2's ``ResNet.freeze`` does.

        Args:
            freeze_at: 1 freezes the stem, 2 res2 as well, and so on.
        """
        for module in (self.stem, *self.stages.values())[:freeze_at]:
            for parameter in module.parameters():
                parameter.requires_grad_(False)
            _freeze_norms(module)
        return self

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the features of clips (N, 3, T, H, W)."""
        if x.dim() != 5 or x.shape[1] != 3:
            raise ValueError(f"clips have shape {tuple(x.shape)}; expected (N, 3, T, H, W)")
        self.check_size(*x.shape[2:])
        outputs = {}
        x = self.stem(x)
        for name, stage in self.stages.items():
            x = stage(x)
            if name in self._out_features:
                outputs[name] = x
            if name == "res2":
                x = self.pool2(x)
        return outputs

    def check_size(self, frames: int, height: int, width: int) -> None:
        """Refuse clips of which no position would be left.

        Raises:
            ValueError: they have fewer frames or pixels than the network's strides.
        """
        side = self._out_feature_strides[STAGES[-1]]
        if frames < self._time_stride:
            raise ValueError(
                f"a clip of {frames} frames, and the stem subsamples time by {self._time_stride}; "
                f"set INPUT.VIDEO.FRAMES to at least {self._time_stride}, or MODEL.VIDEO.STEM fast"
            )
        if min(height, width) < side:
            raise ValueError(
                f"frames of {width}x{height} pixels, and the network's stride is {side}; set "
                f"INPUT.VIDEO.CROP and INPUT.VIDEO.TEST_SIZE to at least {side}"
            )

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Return the channels and the spatial stride of each feature that `forward` returns."""
        return {
            name: ShapeSpec(
                channels=self._out_feature_channels[name], stride=self._out_feature_strides[name]
            )
            for name in self._out_features
        }


def _freeze_norms(module: nn.Module) -> None:
    """Replace each batch norm by a frozen one with its statistics."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm3d | SyncBatchNorm):
            frozen = FrozenBatchNorm3d(child.num_features, child.eps)
            frozen.load_state_dict(child.state_dict(), strict=False)
            setattr(module, name, frozen)
        else:
            _freeze_norms(child)


def _from_config(cfg: CfgNode) -> VideoResNet:
    resnets, video = cfg.MODEL.RESNETS, cfg.MODEL.VIDEO
    return VideoResNet(
        resnets.DEPTH,
        inflate=video.INFLATE,
        stem=video.STEM,
        norm=resnets.NORM,
        width=resnets.WIDTH_PER_GROUP,
        stride_in_1x1=resnets.STRIDE_IN_1X1,
        freeze_at=cfg.MODEL.BACKBONE.FREEZE_AT,
        out_features=resnets.OUT_FEATURES,
    )


@BACKBONE_REGISTRY.register()
def build_video_resnet_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> VideoResNet:
    """Build the C2D or I3D that ``MODEL.RESNETS`` and ``MODEL.VIDEO`` describe."""
    return _from_config(cfg)


@BACKBONE_REGISTRY.register()
def build_nonlocal_video_resnet_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> VideoResNet:
    """Build the same with the non-local blocks of ``MODEL.NONLOCAL``."""
    backbone = _from_config(cfg)
    keys = {f.name: f.metadata["key"] for f in fields(BlockOptions) if "key" in f.metadata}
    node, windows = cfg.MODEL.NONLOCAL, cfg.MODEL.VIDEO.WINDOW
    options = BlockOptions(**{name: node[key.rsplit(".", 1)[1]] for name, key in keys.items()})
    if len(windows) != len(STAGES) or min(windows) < 0:
        raise ValueError(
            f"MODEL.VIDEO.WINDOW={list(windows)}; expected time steps for each of "
            f"{', '.join(STAGES)}, 0 for all"
        )
    used = {w for w, after in zip(windows, node.AFTER_BLOCKS, strict=False) if after}
    for window in sorted(used) or [0]:
        after_blocks = [
            after if window == w or len(used) < 2 else []
            for w, after in zip(windows, node.AFTER_BLOCKS, strict=False)
        ]
        insert_blocks(backbone.stages, after_blocks, replace(options, window=window), ndim=3)
    for stage in backbone.stages.values():
        if any(parameter.requires_grad for parameter in stage.parameters()):
            checkpoint_gradients(stage, node.GRADIENT_CHECKPOINTING)
    return backbone
