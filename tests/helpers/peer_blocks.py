"""The blocks of other projects, written anew from what they publish: their names, their formulas.

`REAL` has the projects' own classes where they are installed (mmcv-lite), so that the same
tests hold these formulas and the converted weights against them.
"""

import importlib.util

import torch
from torch import Tensor, nn

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
BN = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def pool(x: Tensor) -> Tensor:
    """2x2 over space, an odd end left out."""
    if x.dim() == 3:
        return nn.functional.max_pool1d(x, 2)
    if x.dim() == 4:
        return nn.functional.max_pool2d(x, 2)
    return nn.functional.max_pool3d(x, (1, 2, 2))


def attend(theta: Tensor, phi: Tensor, g: Tensor, function: str, scale: float = 1.0) -> Tensor:
    """``sum_j f_ij g_j / C`` over maps (N, Ci, *S); dense."""
    f = torch.einsum("ncp,ncq->npq", theta.flatten(2), phi.flatten(2)) * scale
    f = f.softmax(2) if function == "softmax" else f / f.shape[2]
    y = torch.einsum("npq,ncq->ncp", f, g.flatten(2))
    return y.reshape(*y.shape[:2], *theta.shape[2:])


class Wrapped(nn.Module):
    """mmcv's ConvModule: ``conv`` and perhaps ``bn``."""

    def __init__(self, ndim: int, inputs: int, outputs: int, norm: bool = False, bias: bool = True):
        super().__init__()
        self.conv = CONV[ndim](inputs, outputs, 1, bias=bias and not norm)
        if norm:
            self.bn = BN[ndim](outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)) if hasattr(self, "bn") else self.conv(x)


class Mmcv(nn.Module):
    def __init__(self, c: int, mode: str, ndim=2, use_scale=True, sub_sample=False, norm=False):
        super().__init__()
        ci = c // 2
        self.mode, self.pooled = mode, sub_sample
        self.factor = ci**-0.5 if use_scale and mode == "embedded_gaussian" else 1.0
        self.g, self.conv_out = Wrapped(ndim, c, ci), Wrapped(ndim, ci, c, norm)
        if mode != "gaussian":
            self.theta, self.phi = Wrapped(ndim, c, ci), Wrapped(ndim, c, ci)
        if mode == "concatenation":
            self.concat_project = Wrapped(2, 2 * ci, 1, bias=False)
        if sub_sample:  # a sequence, whose second layer has no tensors
            self.g = nn.Sequential(self.g)
            if mode != "gaussian":
                self.phi = nn.Sequential(self.phi)

    def forward(self, x: Tensor) -> Tensor:
        keys = pool if self.pooled else (lambda one: one)
        g = keys(self.g(x))
        theta, phi = (x, keys(x)) if self.mode == "gaussian" else (self.theta(x), keys(self.phi(x)))
        if self.mode == "concatenation":
            y = self._concatenate(theta, phi, g)
        else:
            function = "dot" if self.mode == "dot_product" else "softmax"
            y = attend(theta, phi, g, function, self.factor)
        return x + self.conv_out(y)

    def _concatenate(self, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        left, right = theta.flatten(2).unsqueeze(3), phi.flatten(2).unsqueeze(2)
        p, q = left.shape[2], right.shape[3]
        pairs = torch.cat([left.expand(-1, -1, p, q), right.expand(-1, -1, p, q)], 1)
        f = self.concat_project(pairs).relu().squeeze(1) / q
        y = torch.einsum("npq,ncq->ncp", f, g.flatten(2))
        return y.reshape(*y.shape[:2], *theta.shape[2:])


class MmcvContext(nn.Module):
    """GCNet's block, channels added."""

    def __init__(self, c: int, ratio: float) -> None:
        super().__init__()
        ci = int(c * ratio)
        self.conv_mask = nn.Conv2d(c, 1, 1)
        layers = nn.Conv2d(c, ci, 1), nn.LayerNorm([ci, 1, 1]), nn.ReLU(), nn.Conv2d(ci, c, 1)
        self.channel_add_conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.conv_mask(x).flatten(2).softmax(2)
        summary = torch.einsum("ncp,nop->nco", x.flatten(2), weights).unsqueeze(3)
        return x + self.channel_add_conv(summary)


class SlowFast(nn.Module):
    def __init__(self, c: int, instantiation: str, pooled: bool, norm: bool) -> None:
        super().__init__()
        ci = c // 2
        self.conv_theta, self.conv_phi, self.conv_g = (nn.Conv3d(c, ci, 1) for _ in range(3))
        self.conv_out = nn.Conv3d(ci, c, 1)
        if norm:
            self.norm = nn.BatchNorm3d(c)
        self.function, self.pooled = instantiation, pooled
        self.factor = ci**-0.5 if instantiation == "softmax" else 1.0

    def forward(self, x: Tensor) -> Tensor:
        keys = pool(x) if self.pooled else x  # before phi and g
        theta = self.conv_theta(x)
        y = attend(theta, self.conv_phi(keys), self.conv_g(keys), self.function, self.factor)
        y = self.conv_out(y)
        return x + (self.norm(y) if hasattr(self, "norm") else y)


def caffe2_block(blobs: dict, name: str, x: Tensor, softmax: bool = True) -> Tensor:
    """The released code's block on (N, C, T, H, W), from its blobs: pooled first, scaled."""

    def layer(which: str, one: Tensor) -> Tensor:
        weight, bias = (torch.as_tensor(blobs[f"{name}_{which}_{end}"]) for end in "wb")
        return nn.functional.conv3d(one, weight, bias)

    theta, keys = layer("theta", x), pool(x)
    phi, g = layer("phi", keys), layer("g", keys)
    factor = theta.shape[1] ** -0.5 if softmax else 1.0
    y = layer("out", attend(theta, phi, g, "softmax" if softmax else "dot", factor))
    norm = {end: torch.as_tensor(blobs[f"{name}_bn_{end}"]).view(1, -1, 1, 1, 1) for end in "sb"}
    if f"{name}_bn_rm" in blobs:
        mean, var = (
            torch.as_tensor(blobs[f"{name}_bn_{end}"]).view(1, -1, 1, 1, 1) for end in ("rm", "riv")
        )
        y = (y - mean) / (var + 1e-5).sqrt()
    return x + y * norm["s"] + norm["b"]


def shake(module: nn.Module) -> nn.Module:
    """Numbers of no special kind everywhere, also in a norm's statistics; for evaluation."""
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
        elif tensor.is_floating_point():
            tensor.normal_(std=0.3)
    return module.eval()


def _real_mmcv(c, mode, ndim=2, use_scale=True, sub_sample=False, norm=False):
    from mmcv.cnn.bricks import non_local

    kind = {1: non_local.NonLocal1d, 2: non_local.NonLocal2d, 3: non_local.NonLocal3d}[ndim]
    cfg = {"type": f"BN{ndim}d"} if norm else None
    return kind(c, mode=mode, use_scale=use_scale, sub_sample=sub_sample, norm_cfg=cfg)


def _real_context(c, ratio):
    from mmcv.cnn import ContextBlock

    return ContextBlock(c, ratio)


REAL: dict[str, dict] = {}
if importlib.util.find_spec("mmcv"):
    REAL |= {"mmcv": _real_mmcv, "gcnet": _real_context}
