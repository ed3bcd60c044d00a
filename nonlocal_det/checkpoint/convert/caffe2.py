"""The authors' release: Caffe2, video, ``nonlocal_conv4_5_theta_w``; 3D, to 2D frame by frame."""

import re

from .conversion import Source


def _place(module: str) -> str:
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
    place=_place,
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
    scale="inner",
    notes=(
        "the file does not say its pixel mean, deviation and channel order: set MODEL.PIXEL_MEAN, "
        "MODEL.PIXEL_STD and INPUT.FORMAT as that training had them",
    ),
)
