"""Receptive fields against numbers derived by hand: r + (k - 1) j for every layer of a chain."""

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_backbone
from torch import nn

from nonlocal_det import model_zoo
from nonlocal_det.analysis import ReceptiveField, receptive_fields

RGB = ShapeSpec(channels=3)


def build(name: str, *options: object, device: str = "cpu") -> nn.Module:
    cfg = model_zoo.get_config(name)
    cfg.merge_from_list(list(options))
    with torch.device(device):
        return build_backbone(cfg, RGB)


def test_resnet18_and_its_fpn():
    fpn = build("long_range/beacon_R18")
    # stem 7x7/2 and 3x3/2: 11 px, stride 4; four 3x3: + 32; 3x3/2 + 8, three 3x3 + 48; and so on
    assert receptive_fields(fpn.bottom_up) == {
        "res2": ReceptiveField(43, 4, 0),
        "res3": ReceptiveField(99, 8, 0),
        "res4": ReceptiveField(211, 16, 0),
    }
    # 3x3 on p4: 211 + 32. Position 2m of p3 sees through 2m - 1 the p4 position m - 1, and through
    # 2m + 1 position m: 16 + 105 px to the left, 105 to the right; position 2m + 1: 113 and 113.
    # p2 likewise: at most 121 to the left and 109 to the right.
    assert receptive_fields(fpn) == {
        "p2": ReceptiveField(121 + 109 + 1, 4, -6),
        "p3": ReceptiveField(121 + 113 + 1, 8, -4),
        "p4": ReceptiveField(243, 16, 0),
        "p5": ReceptiveField(243, 32, 0),  # every second position of p4
    }


def test_bottlenecks_stride_in_the_1x1_convolution_and_dilation():
    name, options = (
        "mask_rcnn_R50",
        ("MODEL.RESNETS.OUT_FEATURES", ["res2", "res3", "res4", "res5"]),
    )
    fields = receptive_fields(build(name, *options, device="meta").bottom_up)
    # 11 + 3 * 8; + 4 * 16; + 6 * 32; + 3 * 64: a 3x3 convolution after the stride of its block
    assert [f.size for f in fields.values()] == [35, 99, 291, 483]
    later = build(name, "MODEL.RESNETS.STRIDE_IN_1X1", False, device="meta").bottom_up
    # the first 3x3 of a stage at the finer stride: half as much each
    assert [f.size for f in receptive_fields(later).values()] == [35, 91, 267, 427]
    plain = ("MODEL.BACKBONE.NAME", "build_resnet_backbone", *options)
    dilated = build(name, "MODEL.RESNETS.RES5_DILATION", 2, *plain, device="meta")
    assert receptive_fields(dilated)["res5"] == ReceptiveField(291 + 3 * 64, 16, 0)


def test_inserted_blocks_are_left_out_and_the_backbone_stays_as_it_is():
    model = build("quick/nl_mask_keypoint_rcnn_R18")
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    assert receptive_fields(model.bottom_up)["res5"] == ReceptiveField(435, 32, 0)
    assert model.state_dict().keys() == kept.keys()
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(64, 64, (1, 7), padding=(0, 3)), nn.Linear(4, 4)], ids=["oblong", "linear"]
)
def test_a_layer_of_unknown_reach_is_refused(layer):
    model = build("long_range/beacon_R18").bottom_up
    model.res2.add_module("extra", layer)
    with pytest.raises(ValueError, match=r"res2\.extra is a .*square plain"):
        receptive_fields(model)
