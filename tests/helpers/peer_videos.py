"""The video networks of other projects, written anew from what they publish: names and formulas.

A network draws its weights as it asks for them, so that what it has asked for is its file.
"""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType

import torch
from peer_blocks import attend, pool
from torch import Tensor, nn
from torch.nn import functional as F

COUNTS = {2: 3, 3: 4, 4: 6, 5: 3}
INFLATED = {2: (0, 1, 2), 3: (0, 2), 4: (0, 2, 4), 5: (1,)}
FIVE = {3: (1, 3), 4: (1, 3, 5)}


class File(dict):
    """Tensors by name, drawn when a network first asks for them."""

    def draw(self, name: str, *shape: int) -> Tensor:
        if name not in self:
            self[name] = torch.empty(shape)
            shake_to_scale({name: self[name]})
        return self[name]


def shake_to_scale(state: Mapping[str, Tensor]) -> None:
    """Numbers of no special kind, none too large for 50 layers and unscaled dot products."""
    for name, tensor in state.items():
        if name.endswith(("running_var", "_riv")):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            if tensor.dim() == 1 and name.endswith(("weight", "_s")):
                tensor.uniform_(0.3, 0.7)
                continue
            fan = tensor[0].numel() if tensor.dim() > 1 else 100
            small = 0.1 if "theta" in name or "phi" in name else 1
            tensor.normal_(std=small * fan**-0.5)


@dataclass(frozen=True)
class Project:
    """How a project names its tensors: patterns of stage, residual block, convolution."""

    stem: tuple[str, str]
    conv: str
    norm: str
    branches: tuple[str, str, str, str]  # shortcut and the three convolutions
    block: str
    out_norm: str
    head: str
    layers: Mapping[str, str]
    weight: str = ".weight"
    bias: str = ".bias"
    ends: tuple[str, ...] = (".weight", ".bias", ".running_mean", ".running_var")
    first_stage: int = 2
    pool: str = "before"
    scale: bool = True
    out_bias: bool = True


CAFFE2 = Project(
    stem=("conv1", "res_conv1_bn"),
    conv="res{s}_{i}_branch{b}",
    norm="res{s}_{i}_branch{b}_bn",
    branches=("1", "2a", "2b", "2c"),
    block="nonlocal_conv{s}_{i}_",
    layers={"theta": "theta", "phi": "phi", "g": "g", "out": "out"},
    out_norm="bn",
    head="pred",
    weight="_w",
    bias="_b",
    ends=("_s", "_b", "_rm", "_riv"),
)
SLOWFAST = Project(
    stem=("s1.pathway0_stem.conv", "s1.pathway0_stem.bn"),
    conv="s{s}.pathway0_res{i}.branch{b}",
    norm="s{s}.pathway0_res{i}.branch{b}_bn",
    branches=("1", "2.a", "2.b", "2.c"),
    block="s{s}.pathway0_nonlocal{i}.",
    layers={name: f"conv_{name}" for name in ("theta", "phi", "g", "out")},
    out_norm="bn",
    head="head.projection",
)
MMACTION2 = Project(
    stem=("backbone.conv1.conv", "backbone.conv1.bn"),
    conv="backbone.layer{s}.{i}.{b}.conv",
    norm="backbone.layer{s}.{i}.{b}.bn",
    branches=("downsample", "conv1", "conv2", "conv3"),
    block="backbone.layer{s}.{i}.non_local_block.",
    layers={"theta": "theta.conv", "phi": "phi.0.conv", "g": "g.0.conv", "out": "conv_out.conv"},
    out_norm="conv_out.bn",
    head="cls_head.fc_cls",
    first_stage=1,
    pool="after",
    scale=False,
    out_bias=False,
)


@dataclass(frozen=True)
class Network:
    """A C2D or I3D R50 of a project; kernels and strides over time.

    Args:
        inflate: its 1x1 convolutions of every second residual block span 3 frames, conv1 spans 5.
        blocks: by stage the residual blocks that a non-local block follows.
        function: embedded_gaussian, gaussian or dot_product.
        conv1: its stride. pool1: kernel, stride. pool1_pad: over space. pool2: kernel and stride.
        affine: norms and blocks have no statistics.
        window: time steps within which blocks of res3 attend.
        flat: the file's kernels are 2D.
    """

    project: Project
    inflate: bool = False
    blocks: Mapping[int, tuple[int, ...]] | None = None
    function: str = "embedded_gaussian"
    conv1: int = 1
    pool1: tuple[int, int] = (1, 1)
    pool1_pad: int = 1
    pool2: int = 2
    affine: bool = False
    window: int = 0
    flat: bool = False
    width: int = 4
    classes: int = 5

    def __call__(self, file: File, clip: Tensor) -> Tensor:
        """Logits (N, K) of a normalised clip (N, 3, T, H, W)."""
        p = self.project
        time = 5 if self.inflate else 1
        x = self.convolve(file, p.stem[0], clip, self.width, (time, 7, 7), (self.conv1, 2, 2))
        x = self.normalise(file, p.stem[1], x).relu()
        kernel, stride = self.pool1
        pad = (0, self.pool1_pad, self.pool1_pad)
        x = F.max_pool3d(x, (kernel, 3, 3), (stride, 2, 2), pad)
        for stage, count in COUNTS.items():
            for index in range(count):
                x = self.residual(file, stage, index, x)
                if index in (self.blocks or {}).get(stage, ()):
                    x = self.attend(file, stage, index, x)
            if stage == 2:
                x = F.max_pool3d(x, (self.pool2, 1, 1))
        weight = file.draw(p.head + p.weight, self.classes, x.shape[1])
        return F.linear(x.mean((2, 3, 4)), weight, file.draw(p.head + p.bias, self.classes))

    def convolve(self, file, name, x, channels, kernel=(1, 1, 1), stride=(1, 1, 1)) -> Tensor:
        shape = kernel[1:] if self.flat else kernel
        weight = file.draw(name + self.project.weight, channels, x.shape[1], *shape)
        weight = weight.unsqueeze(2) if self.flat else weight
        return F.conv3d(x, weight, None, stride, [side // 2 for side in kernel])

    def normalise(self, file: File, name: str, x: Tensor) -> Tensor:
        ends = self.project.ends[: 2 if self.affine else 4]
        shape = (-1, 1, 1, 1)
        scale, shift, *rest = (file.draw(name + end, x.shape[1]).view(shape) for end in ends)
        if rest:
            x = (x - rest[0]) / (rest[1] + 1e-5).sqrt()
        return x * scale + shift

    def residual(self, file: File, stage: int, index: int, x: Tensor) -> Tensor:
        inner = self.width * 2 ** (stage - 2)
        stride = 2 if stage > 2 and index == 0 else 1
        time = 3 if self.inflate and index in INFLATED[stage] else 1

        def layer(branch: str, x: Tensor, channels: int, kernel, stride=1) -> Tensor:
            words = {"s": stage - 2 + self.project.first_stage, "i": index, "b": branch}
            name = self.project.conv.format(**words)
            y = self.convolve(file, name, x, channels, kernel, (1, stride, stride))
            return self.normalise(file, self.project.norm.format(**words), y)

        shortcut, a, b, c = self.project.branches
        y = layer(a, x, inner, (time, 1, 1)).relu()
        y = layer(b, y, inner, (1, 3, 3), stride).relu()
        y = layer(c, y, 4 * inner, (1, 1, 1))
        if index == 0:
            x = layer(shortcut, x, 4 * inner, (1, 1, 1), stride)
        return (x + y).relu()

    def attend(self, file: File, stage: int, index: int, x: Tensor) -> Tensor:
        if self.window and stage == 3:
            parts = x.split(self.window, dim=2)
            return torch.cat([self._attend(file, stage, index, part) for part in parts], dim=2)
        return self._attend(file, stage, index, x)

    def _attend(self, file: File, stage: int, index: int, x: Tensor) -> Tensor:
        p, inner = self.project, x.shape[1] // 2
        start = p.block.format(s=stage - 2 + p.first_stage, i=index)

        def layer(role: str, y: Tensor, channels: int, bias: bool = True) -> Tensor:
            name = start + p.layers[role]
            weight = file.draw(name + p.weight, channels, y.shape[1], 1, 1, 1)
            return F.conv3d(y, weight, file.draw(name + p.bias, channels) if bias else None)

        def keys(role: str) -> Tensor:
            if p.pool == "before":
                return layer(role, pool(x), inner)
            return pool(layer(role, x, inner))

        plain = self.function == "gaussian"
        theta, phi = (x, pool(x)) if plain else (layer("theta", x, inner), keys("phi"))
        softmax = self.function != "dot_product"
        scale = inner**-0.5 if p.scale and softmax and not plain else 1.0
        y = attend(theta, phi, keys("g"), "softmax" if softmax else "dot", scale)
        y = layer("out", y, x.shape[1], p.out_bias or self.affine)
        return x + (y if self.affine else self.normalise(file, start + p.out_norm, y))


def _real_slowfast(network: Network, frames: int, side: int) -> Callable[[File, Tensor], Tensor]:
    from slowfast.config.defaults import get_cfg
    from slowfast.models.video_model_builder import ResNetModel

    cfg = get_cfg()
    cfg.MODEL.ARCH = "i3d" if network.inflate else "c2d" if network.pool2 == 2 else "c2d_nopool"
    cfg.MODEL.NUM_CLASSES, cfg.NUM_GPUS = network.classes, 0
    cfg.DATA.NUM_FRAMES, cfg.DATA.CROP_SIZE, cfg.DATA.INPUT_CHANNEL_NUM = frames, side, [3]
    cfg.RESNET.DEPTH, cfg.RESNET.WIDTH_PER_GROUP = 50, network.width
    if network.blocks:
        cfg.NONLOCAL.LOCATION = [[[*(network.blocks.get(s, ()))]] for s in COUNTS]
        softmax = network.function == "embedded_gaussian"
        cfg.NONLOCAL.INSTANTIATION = "softmax" if softmax else "dot_product"
    model = ResNetModel(cfg).eval()
    shake_to_scale(model.state_dict())
    model.head.act = nn.Identity()

    def run(file: File, clip: Tensor) -> Tensor:
        file.update(model.state_dict())
        return model([clip])

    return run


def _real_mmaction2(network: Network, frames: int, side: int) -> Callable[[File, Tensor], Tensor]:
    drn = ModuleType("mmaction.models.localizers.drn.drn")  # the wheel lacks it
    drn.DRN = nn.Module
    sys.modules.setdefault("mmaction.models.localizers.drn", ModuleType("drn"))
    sys.modules.setdefault(drn.__name__, drn)
    from mmaction.models.backbones.c2d import C2D
    from mmaction.models.backbones.resnet3d import ResNet3d

    model = nn.Module()
    if network.flat:
        model.backbone = C2D(50)
    else:
        options = {
            **{"pretrained": None, "conv1_kernel": (5, 7, 7), "conv1_stride_t": 2},
            **{"pool1_stride_t": 2, "conv_cfg": {"type": "Conv3d"}, "base_channels": network.width},
            "inflate": [[int(i in INFLATED[s]) for i in range(n)] for s, n in COUNTS.items()],
        }
        options["inflate"][0] = [1, 1, 1]
        if network.blocks:
            positions = {s: network.blocks.get(s, ()) for s in COUNTS}
            options["non_local"] = [
                [int(i in positions[s]) for i in range(n)] for s, n in COUNTS.items()
            ]
            norm = {"type": "BN3d", "requires_grad": True}
            cfg = {"sub_sample": True, "use_scale": False, "norm_cfg": norm}
            options["non_local_cfg"] = {**cfg, "mode": network.function}
        model.backbone = ResNet3d(50, **options)
    model.cls_head = nn.Module()
    width = 64 if network.flat else network.width
    model.cls_head.fc_cls = nn.Linear(32 * width, network.classes)
    shake_to_scale(model.eval().state_dict())

    def run(file: File, clip: Tensor) -> Tensor:
        file.update(model.state_dict())
        return model.cls_head.fc_cls(model.backbone(clip).mean((2, 3, 4)))

    return run


REAL = {
    name: make
    for name, package, make in (
        ("slowfast", "slowfast", _real_slowfast),
        ("mmaction2", "mmaction", _real_mmaction2),
    )
    if importlib.util.find_spec(package) is not None
}
