"""PySlowFast: ``s4.pathway0_nonlocal5.conv_theta.weight``; 3D, to 2D frame by frame."""

import re

from .conversion import TORCH_FIELDS, Source


def _place(module: str) -> str:
    found = re.fullmatch(r"s(\d)\.pathway0_nonlocal(\d+)", module)
    if found is None:
        raise ValueError(
            f"{module!r} is not in pathway 0 of a SlowFast network, and our backbone has one "
            "pathway; give the block's place"
        )
    return f"res{found[1]}.nl{found[2]}"


_FIELD = f"({'|'.join(TORCH_FIELDS)})$"
_BRANCH = {"1": "shortcut", "2.a": "conv1", "2.b": "conv2", "2.c": "conv3"}

SLOWFAST = Source(
    project="SlowFast",
    layers={
        **{"conv_theta": "theta", "conv_phi": "phi", "conv_g": "g", "conv_out": "w_z"},
        **{"norm": "norm", "bn": "norm"},  # bn in older files
    },
    place=_place,
    backbone=(
        (r"^s1\.pathway0_stem\.conv\.weight$", "stem.conv1.weight"),
        (rf"^s1\.pathway0_stem\.bn\.{_FIELD}", r"stem.conv1.norm.\1"),
        *(
            (rf"^s(\d)\.pathway0_res(\d+)\.branch{re.escape(b)}{end}", rf"res\1.\2.{layer}{ours}")
            for b, layer in _BRANCH.items()
            for end, ours in ((r"\.weight$", ".weight"), (rf"_bn\.{_FIELD}", r".norm.\3"))
        ),
    ),
    subsample="before",
    scale="inner",
    notes=(
        "a block without norm tensors is taken as one of NONLOCAL norm none, not of SlowFast's "
        "layernorm, which has no tensors either and no equal here",
    ),
)
