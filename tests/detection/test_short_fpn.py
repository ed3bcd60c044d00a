"""An FPN over res2-res4 runs, and Detectron2's own over res2-res5 stays as it is."""

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_backbone
from small_models import small_config

RGB = ShapeSpec(channels=3)
SHORT = ["MODEL.RESNETS.OUT_FEATURES", ["res2", "res3", "res4"]]
SHORT += ["MODEL.FPN.IN_FEATURES", ["res2", "res3", "res4"], "MODEL.BACKBONE.NAME"]
NAMES = ["build_short_resnet_fpn_backbone", "build_nonlocal_resnet_fpn_backbone"]


@pytest.mark.parametrize("name", NAMES)
def test_a_resnet_that_ends_at_res4_has_its_last_level_pooled(name):
    backbone = build_backbone(small_config("quick/mask_keypoint_rcnn_R18", *SHORT, name), RGB)
    levels = backbone.eval()(torch.rand(1, 3, 64, 96))
    assert [(n, tuple(f.shape[2:])) for n, f in levels.items()] == [
        ("p2", (16, 24)), ("p3", (8, 12)), ("p4", (4, 6)), ("p5", (2, 3)),
    ]  # fmt: skip
    assert torch.equal(levels["p5"], levels["p4"][:, :, ::2, ::2])


def test_with_res5_nothing_changes():
    outputs = []
    for name in ("build_resnet_fpn_backbone", "build_short_resnet_fpn_backbone"):
        torch.manual_seed(3)
        cfg = small_config("quick/mask_keypoint_rcnn_R18", "MODEL.BACKBONE.NAME", name)
        outputs.append(build_backbone(cfg, RGB).eval()(torch.ones(1, 3, 64, 64)))
    assert outputs[0].keys() == outputs[1].keys()
    assert all(torch.equal(outputs[0][key], outputs[1][key]) for key in outputs[0])
