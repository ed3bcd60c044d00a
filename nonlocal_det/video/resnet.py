"""C2D and I3D ResNets: a ResNet over space whose convolutions may reach over time.

*Source*: Wang et al., Non-local Neural Networks, Sec. 4.1, Table 1.
"""

from collections.abc import Sequence
from dataclasses import fields, replace

from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone
from torch import Tensor, nn

from nonlocal_det.layers import BlockOptions, checkpoint_gradients, insert_blocks

from .resnet_layers import NORMS, STEMS, ResidualBlock, VideoStem, freeze_norms

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
        out_features: which of ``res2``, ..., ``res5`` `forward` returns; the network ends at the
            last of them.

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
        self._names = STAGES[: 1 + max(map(STAGES.index, out_features))]
        self._time_stride = STEMS[stem].time_stride // (1 if len(self._names) > 1 else 2)
        self.stem = VideoStem(STEMS[stem], 5 if inflate else 1, norm, width)
        kernel, stride, padding = STEMS[stem].pool2
        self.pool2 = nn.MaxPool3d((kernel, 1, 1), (stride, 1, 1), (padding, 0, 0))
        self._out_features = list(out_features)
        self._out_feature_channels: dict[str, int] = {}
        self._out_feature_strides: dict[str, int] = {}
        channels, basic = width, depth < 50
        for place, name in enumerate(self._names):
            count = BLOCKS_PER_STAGE[depth][place]
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
        return {name: self.get_submodule(name) for name in self._names}

    def freeze(self, freeze_at: int) -> "VideoResNet":
        """Stop the first layers from learning, as Detectron2's ``ResNet.freeze`` does.

        Args:
            freeze_at: 1 freezes the stem, 2 res2 as well, and so on.
        """
        for module in (self.stem, *self.stages.values())[:freeze_at]:
            for parameter in module.parameters():
                parameter.requires_grad_(False)
            freeze_norms(module)
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
            if name == "res2" and name != self._names[-1]:
                x = self.pool2(x)
        return outputs

    def check_size(self, frames: int, height: int, width: int) -> None:
        """Refuse clips of which no position would be left.

        Raises:
            ValueError: they have fewer frames or pixels than the network's strides.
        """
        side = self._out_feature_strides[self._names[-1]]
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


def _from_config(cfg: CfgNode) -> VideoResNet:
    resnets, video = cfg.MODEL.RESNETS, cfg.MODEL.VIDEO
    if video.PRESET:
        raise ValueError(
            f"MODEL.VIDEO.PRESET={video.PRESET!r} has not been applied; load the config by "
            "nonlocal_det.configs.load_config, or call nonlocal_det.video.config.apply_preset(cfg)"
        )
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
