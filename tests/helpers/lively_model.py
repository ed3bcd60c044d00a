"""A small detector whose random weights give what trained ones give: finite, different scores."""

import torch
from detectron2.modeling import build_model
from small_models import small_config
from torch import nn

from nonlocal_det.layers import nonlocal_blocks

SIZES = ((80, 112), (64, 64), (96, 131), (70, 100), (100, 65), (33, 97))
"""The example's size, and five others: multiples of the stride, odd, and near the padding."""


def lively_model(name: str, *options: object) -> nn.Module:
    torch.manual_seed(0)
    model = build_model(small_config(name, *options))
    norms = [one for one in model.modules() if isinstance(one, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.train().momentum = 1.0  # the statistics of what follows
        maps = model.backbone(torch.randn(2, 3, 96, 128) * 75)
        for block in nonlocal_blocks(model).values():  # no longer the identity
            for parameter in block.zero_init_layer.parameters():
                nn.init.normal_(parameter, std=0.02)
        heads = model.roi_heads
        heads.box_predictor.cls_score.weight.mul_(5)
        if heads.keypoint_on:
            heat = heads.keypoint_head.layers(maps["p2"][:, :, :14, :14])
            heads.keypoint_head.score_lowres.weight.mul_(2 / heat.std())  # as trained ones have
    return model.eval()


def noise_images() -> list[torch.Tensor]:
    chance = torch.Generator().manual_seed(1)
    return [torch.rand(3, *size, generator=chance) * 255 for size in SIZES]
