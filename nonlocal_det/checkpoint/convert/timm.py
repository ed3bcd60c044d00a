"""timm's NonLocalAttn: ``t``, ``p``, ``g``, ``z``; scaled by the root of its input's width."""

from .conversion import Source
from .resnet import RESNET_NOTE, TORCHVISION_RESNET, inside

TIMM = Source(
    project="timm",
    layers={"t": "theta", "p": "phi", "g": "g", "z": "w_z", "norm": "norm"},
    place=inside("timm"),
    backbone=TORCHVISION_RESNET,
    scale="input",
    notes=(
        "timm's use_scale is taken as True, its default (--scale no otherwise), and is part of "
        "theta now: SCALE False",
        RESNET_NOTE,
    ),
)
