"""mmcv's NonLocal1d/2d/3d and ContextBlock (GCNet), alone or as a plugin of an mmdet ResNet."""

from .conversion import Source
from .resnet import RESNET_NOTE, TORCHVISION_RESNET, inside

MMCV = Source(
    project="mmcv",
    layers={
        **{"theta.conv": "theta", "phi.conv": "phi", "phi.0.conv": "phi"},
        **{"g.conv": "g", "g.0.conv": "g", "concat_project.conv": "w_f"},
        **{"conv_out.conv": "w_z", "conv_out.bn": "norm"},
    },
    place=inside("mmdetection"),
    backbone=TORCHVISION_RESNET,
    subsample=None,
    pooled=("g.0.conv",),
    scale="inner",  # use_scale; its other functions ignore it
    notes=(
        "mmcv's use_scale is taken as True, its default (--scale no otherwise); GCNet's own block "
        "of the same names multiplies where mmcv divides, and has no equal here",
        "mmcv pools without the last row and column of an odd map, ours with them: equal where "
        "both sides are even",
        RESNET_NOTE,
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
    place=inside("mmdetection"),
    backbone=TORCHVISION_RESNET,
    notes=(RESNET_NOTE,),
)
