"""The projects whose weights can be brought in: one `Source` each, a table of names."""

import re
from collections.abc import Callable

from .conversion import TORCH_FIELDS, Source

_FIELD = f"({'|'.join(TORCH_FIELDS)})$"

# The authors' release: Caffe2, video, ``nonlocal_conv4_5_theta_w``; 3D, to 2D frame by frame.


def _caffe2_place(module: str) -> str:
    found = re.fullmatch(r"nonlocal_conv(\d)_(\d+)", module)
    if found is None:
        raise ValueError(f"{module!r} is no block's name of the authors' release; give its place")
    return f"res{found[1]}.nl{found[2]}"  # it follows residual block 5 of res4, counted from 0


_NORM = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}
_BRANCH = {"1": "shortcut", "2a": "conv1", "2b": "conv2", "2c": "conv3"}

CAFFE2 = Source(
    project="the authors' release (video-nonlocal-net)",
    # an affine layer is a "bn" without rm and riv
    layers={"theta": "theta", "phi": "phi", "g": "g", "out": "w_z", "bn": "norm"},
    fields={"w": "weight", **_NORM},
    separator="_",
    place=_caffe2_place,
    backbone=(
        (r"^conv1_w$", "stem.conv1.weight"),
        *((rf"^res_conv1_bn_{t}$", f"stem.conv1.norm.{o}") for t, o in _NORM.items()),
        *((rf"^res(\d)_(\d+)_branch{t}_w$", rf"res\1.\2.{o}.weight") for t, o in _BRANCH.items()),
        *(
            (rf"^res(\d)_(\d+)_branch{b}_bn_{t}$", rf"res\1.\2.{layer}.norm.{o}")
            for b, layer in _BRANCH.items()
            for t, o in _NORM.items()
        ),
    ),
    subsample="before",
    scale=True,
    notes=(
        "the file does not say its pixel mean, deviation and channel order: set MODEL.PIXEL_MEAN, "
        "MODEL.PIXEL_STD and INPUT.FORMAT as that training had them",
    ),
)


# PySlowFast: ``s4.pathway0_nonlocal5.conv_theta.weight``; 3D, to 2D frame by frame.


def _slowfast_place(module: str) -> str:
    found = re.fullmatch(r"s(\d)\.pathway0_nonlocal(\d+)", module)
    if found is None:
        raise ValueError(
            f"{module!r} is not in pathway 0 of a SlowFast network, and our backbone has one "
            "pathway; give the block's place"
        )
    return f"res{found[1]}.nl{found[2]}"


_SLOWFAST_BRANCH = {"1": "shortcut", "2.a": "conv1", "2.b": "conv2", "2.c": "conv3"}

SLOWFAST = Source(
    project="SlowFast",
    layers={
        **{"conv_theta": "theta", "conv_phi": "phi", "conv_g": "g", "conv_out": "w_z"},
        **{"norm": "norm", "bn": "norm"},  # bn in older files
    },
    place=_slowfast_place,
    backbone=(
        (r"^s1\.pathway0_stem\.conv\.weight$", "stem.conv1.weight"),
        (rf"^s1\.pathway0_stem\.bn\.{_FIELD}", r"stem.conv1.norm.\1"),
        *(
            (rf"^s(\d)\.pathway0_res(\d+)\.branch{re.escape(b)}{end}", rf"res\1.\2.{layer}{ours}")
            for b, layer in _SLOWFAST_BRANCH.items()
            for end, ours in ((r"\.weight$", ".weight"), (rf"_bn\.{_FIELD}", r".norm.\3"))
        ),
    ),
    subsample="before",
    scale=True,
    notes=(
        "a block without norm tensors is taken as one of NONLOCAL norm none, not of SlowFast's "
        "layernorm, which has no tensors either and no equal here",
    ),
)


# mmcv's NonLocal1d/2d/3d and ContextBlock (GCNet), alone or as a plugin of an mmdet ResNet, whose
# names are torchvision's (``layer3.5.conv1``).

_FRONT = r"^(?:backbone\.|module\.|img_backbone\.)*"


def _stages() -> tuple[tuple[str, str], ...]:
    found = []
    for n in (1, 2, 3, 4):  # layer1 is res2
        block = rf"{_FRONT}layer{n}\.(\d+)"
        found += [
            (rf"{block}\.conv([123])\.weight$", rf"res{n + 1}.\1.conv\2.weight"),
            (rf"{block}\.bn([123])\.{_FIELD}", rf"res{n + 1}.\1.conv\2.norm.\3"),
            (rf"{block}\.downsample\.0\.weight$", rf"res{n + 1}.\1.shortcut.weight"),
            (rf"{block}\.downsample\.1\.{_FIELD}", rf"res{n + 1}.\1.shortcut.norm.\2"),
        ]
    return tuple(found)


_TORCHVISION_RESNET = (
    (rf"{_FRONT}conv1\.weight$", "stem.conv1.weight"),
    (rf"{_FRONT}bn1\.{_FIELD}", r"stem.conv1.norm.\1"),
    *_stages(),
)

_RESNET_NOTE = (
    "a ResNet of torchvision's names has its stride in the 3x3 convolution "
    "(MODEL.RESNETS.STRIDE_IN_1X1 False) and usually RGB input with mean 123.675, 116.28, 103.53 "
    "and deviation 58.395, 57.12, 57.375: set INPUT.FORMAT, MODEL.PIXEL_MEAN and MODEL.PIXEL_STD"
)


def _inside(project: str) -> Callable[[str], str]:
    """The place of a block that a project puts inside a residual block: none of ours."""

    def place(module: str) -> str:
        raise ValueError(
            f"{project} has the block {module or 'of the file'!r} inside a residual block or in a "
            "network of its own, and ours follows a residual block's last ReLU: with the same "
            "weights it is another function; to start from them all the same, give its place: "
            f"--place {module or '.'} backbone.bottom_up.res4.nl4"
        )

    return place


MMCV = Source(
    project="mmcv",
    layers={
        **{"theta.conv": "theta", "phi.conv": "phi", "phi.0.conv": "phi"},
        **{"g.conv": "g", "g.0.conv": "g", "concat_project.conv": "w_f"},
        **{"conv_out.conv": "w_z", "conv_out.bn": "norm"},
    },
    place=_inside("mmdetection"),
    backbone=_TORCHVISION_RESNET,
    subsample=None,
    pooled=("g.0.conv",),
    scale=True,  # use_scale; its other functions ignore it
    notes=(
        "mmcv's use_scale is taken as True, its default (--scale no otherwise); GCNet's own block "
        "of the same names multiplies where mmcv divides, and has no equal here",
        "mmcv pools without the last row and column of an odd map, ours with them: equal where "
        "both sides are even",
        _RESNET_NOTE,
    ),
)

GCNET = Source(
    project="mmcv's ContextBlock",
    layers={
        **{"conv_mask": "w_k", "channel_add_conv.0": "w_v1"},
        **{"channel_add_conv.1": "norm", "channel_add_conv.3": "w_v2"},
    },
    signature="w_v2",
    required=("w_k", "w_v1", "norm", "w_v2"),
    place=_inside("mmdetection"),
    backbone=_TORCHVISION_RESNET,
    notes=(_RESNET_NOTE,),
)

SOURCES = {"caffe2": CAFFE2, "slowfast": SLOWFAST, "mmcv": MMCV, "gcnet": GCNET}
"""The projects by the names of the command line."""
