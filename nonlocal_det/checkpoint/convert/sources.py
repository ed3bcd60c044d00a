"""The projects whose weights can be brought in: one `Source` each, a table of names."""

from dataclasses import replace

from .conversion import Source

_HALF_GREY = {  # (x - 0.45) / 0.225 of [0, 1]
    "MODEL.PIXEL_MEAN": [114.75, 114.75, 114.75],
    "MODEL.PIXEL_STD": [57.375, 57.375, 57.375],
    "INPUT.FORMAT": "RGB",
    "MODEL.RESNETS.STRIDE_IN_1X1": False,
}
_IMAGENET = {
    **_HALF_GREY,
    "MODEL.PIXEL_MEAN": [123.675, 116.28, 103.53],
    "MODEL.PIXEL_STD": [58.395, 57.12, 57.375],
}
_MOMENTUM = "batch norms learn on as they did: torch's momentum of 0.1, which this network has"


def _branches(names: dict[str, str], start: str, norm: str) -> dict[str, str]:
    """The convolutions of a residual block by their names, and their norms."""
    ours = {f"{start}{name}": f"res{{stage}}.{{block}}.{layer}" for name, layer in names.items()}
    return ours | {f"{name}{norm}": f"{layer}.norm" for name, layer in ours.items()}


# The authors' release: Caffe2, video, ``nonlocal_conv4_5_theta_w`` after residual block 5 of res4.

CAFFE2 = Source(
    project="the authors' release (video-nonlocal-net)",
    # an affine layer is a "bn" without rm and riv
    layers={"theta": "theta", "phi": "phi", "g": "g", "out": "w_z", "bn": "norm"},
    fields={
        **{"w": "weight", "s": "weight", "b": "bias"},
        **{"rm": "running_mean", "riv": "running_var"},  # the variance, not its inverse
    },
    separator="_",
    modules={
        **{"conv1": "stem.conv1", "res_conv1_bn": "stem.conv1.norm", "pred": "head.linear"},
        r"nonlocal_conv(?P<stage>\d)_(?P<block>\d+)": "res{stage}.nl{block}",
        **_branches(
            {"1": "shortcut", "2a": "conv1", "2b": "conv2", "2c": "conv3"},
            r"res(?P<stage>\d)_(?P<block>\d+)_branch",
            "_bn",
        ),
    },
    misplaced="{module!r} is no block's name of the authors' release; give its place",
    subsample="before",
    scale=True,
    stems={5: ("paper_code", "fast", "slowfast")},  # the last in SlowFast's .pkl files
    video=_HALF_GREY,
    windows=(0, 4, 0, 0),
    notes=(
        "the stem is paper_code for 32x2 and 128x1, fast for 8x8 and 32x4, slowfast for a .pkl of "
        "SlowFast's",
        "the release's clips are RGB, (x - 114.75) / 57.375: set MODEL.PIXEL_MEAN, "
        "MODEL.PIXEL_STD and INPUT.FORMAT so",
        f"{_MOMENTUM}, is 0.9 in Caffe2's sense",
    ),
)

# PySlowFast: ``s4.pathway0_nonlocal5.conv_theta.weight``.

SLOWFAST = Source(
    project="SlowFast",
    layers={
        **{"conv_theta": "theta", "conv_phi": "phi", "conv_g": "g", "conv_out": "w_z"},
        **{"norm": "norm", "bn": "norm"},  # bn in older files
    },
    modules={
        r"s1\.pathway0_stem\.conv": "stem.conv1",
        r"s1\.pathway0_stem\.bn": "stem.conv1.norm",
        r"head\.projection": "head.linear",
        r"s(?P<stage>\d)\.pathway0_nonlocal(?P<block>\d+)": "res{stage}.nl{block}",
        **_branches(
            {"1": "shortcut", r"2\.a": "conv1", r"2\.b": "conv2", r"2\.c": "conv3"},
            r"s(?P<stage>\d)\.pathway0_res(?P<block>\d+)\.branch",
            "_bn",
        ),
    },
    misplaced="{module!r} is not in pathway 0 of a SlowFast network, and our backbone has one "
    "pathway; give the block's place",
    subsample="before",
    scale=True,
    stems={5: ("slowfast", "no_pool2")},
    video=_HALF_GREY,
    notes=(
        "a block without norm tensors is taken as one of NONLOCAL norm none, not of SlowFast's "
        "layernorm, which has no tensors either and no equal here",
        "NONLOCAL.GROUP is taken as 1, its default: it is not in the file",
        f"{_MOMENTUM} too",
    ),
)

# mmcv's NonLocal1d/2d/3d and ContextBlock (GCNet), alone or as a plugin of an mmdet ResNet, whose
# names are torchvision's (``layer3.5.conv1``; in mmaction2 ``layer3.5.conv1.conv``).

_BLOCK = r"layer(?P<stage>\d)\.(?P<block>\d+)\."
_INSIDE = (
    "mmdetection has the block {module!r} inside a residual block or in a network of its own, and "
    "ours follows a residual block's last ReLU: with the same weights it is another function; to "
    "start from them all the same, give its place: --place {place} backbone.bottom_up.res4.nl4"
)
RESNET_NOTE = (
    "a ResNet of torchvision's names has its stride in the 3x3 convolution "
    "(MODEL.RESNETS.STRIDE_IN_1X1 False) and usually RGB input with mean 123.675, 116.28, 103.53 "
    "and deviation 58.395, 57.12, 57.375: set INPUT.FORMAT, MODEL.PIXEL_MEAN and MODEL.PIXEL_STD"
)

MMCV = Source(
    project="mmcv",
    layers={
        **{"theta.conv": "theta", "phi.conv": "phi", "phi.0.conv": "phi"},
        **{"g.conv": "g", "g.0.conv": "g", "concat_project.conv": "w_f"},
        **{"conv_out.conv": "w_z", "conv_out.bn": "norm"},
    },
    front=r"(?:backbone\.|module\.|img_backbone\.)*",
    first_stage=1,
    modules={
        **{r"conv1(?:\.conv)?": "stem.conv1", r"(?:bn1|conv1\.bn)": "stem.conv1.norm"},
        rf"{_BLOCK}conv(?P<n>\d)(?:\.conv)?": "res{stage}.{block}.conv{n}",
        **dict.fromkeys(
            (rf"{_BLOCK}bn(?P<n>\d)", rf"{_BLOCK}conv(?P<n>\d)\.bn"),
            "res{stage}.{block}.conv{n}.norm",
        ),
        rf"{_BLOCK}downsample\.(?:0|conv)": "res{stage}.{block}.shortcut",
        rf"{_BLOCK}downsample\.(?:1|bn)": "res{stage}.{block}.shortcut.norm",
    },
    misplaced=_INSIDE,
    subsample=None,
    pooled=("g.0.conv",),
    scale=True,  # use_scale; its other functions ignore it
    notes=(
        "mmcv's use_scale is taken as True, its default (--scale no otherwise); GCNet's own block "
        "of the same names multiplies where mmcv divides, and has no equal here",
        "mmcv pools without the last row and column of an odd map, ours with them: equal where "
        "both sides are even",
        RESNET_NOTE,
    ),
)

MMACTION2 = replace(
    MMCV,
    project="mmaction2",
    modules={
        **MMCV.modules,
        r"cls_head\.fc_cls": "head.linear",
        rf"{_BLOCK}non_local_block": "res{stage}.nl{block}",
    },
    misplaced="{module!r} is no block's name of mmaction2's ResNet3d; give its place",
    scale=False,
    stems={5: ("mmaction2",), 4: ("fast", "no_pool2")},  # its C2D has 2D kernels
    video=_IMAGENET,
    notes=(
        "use_scale is taken as False, as in mmaction2's configs (--scale yes otherwise), and a "
        "pair of theta and phi as an embedded Gaussian (--pairwise dot_product otherwise)",
        MMCV.notes[1],
        f"{_MOMENTUM} too",
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
    front=MMCV.front,
    first_stage=1,
    modules=MMCV.modules,
    misplaced=_INSIDE,
    notes=(RESNET_NOTE,),
)

SOURCES = {
    **{"caffe2": CAFFE2, "slowfast": SLOWFAST, "mmcv": MMCV, "gcnet": GCNET},
    "mmaction2": MMACTION2,
}
"""The projects by the names of the command line."""
