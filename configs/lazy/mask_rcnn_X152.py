"""Mask R-CNN with a ResNeXt-152-32x8d-FPN and the weights that mask_rcnn_X152.yaml explains."""

from detectron2.config import LazyCall
from detectron2.modeling.backbone.resnet import BottleneckBlock, ResNet

from .mask_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages = [  # ResNet.make_default_stages knows ResNets' widths only
    LazyCall(ResNet.make_stage)(
        block_class=BottleneckBlock,
        num_blocks=num_blocks,
        stride_per_block=[1 if width == 256 else 2] + [1] * (num_blocks - 1),
        in_channels=64 if width == 256 else width // 2,
        bottleneck_channels=width,
        out_channels=width,
        num_groups=32,
        stride_in_1x1=False,
        norm="FrozenBN",
    )
    for num_blocks, width in ((3, 256), (8, 512), (36, 1024), (3, 2048))
]
train.init_checkpoint = "catalog://ImageNetPretrained/FAIR/X-152-32x8d-IN5k"
