"""The reach of a detection against whole detectors in which single columns of pixels are lit."""

import math
from functools import lru_cache

import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes

from nonlocal_det import model_zoo
from nonlocal_det.analysis import detection_reach

SHORT = ["MODEL.RESNETS.OUT_FEATURES", ["res2", "res3"], "MODEL.FPN.IN_FEATURES", ["res2", "res3"]]
SHORT += ["MODEL.ROI_HEADS.IN_FEATURES", ["p2", "p3"], "MODEL.RPN.IN_FEATURES", ["p2", "p3"]]
SHORT += ["MODEL.ANCHOR_GENERATOR.SIZES", [[16], [24]]]
KEYPOINTS = ["MODEL.KEYPOINT_ON", True, "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", [4, 4, 4]]
HEIGHT = 32


def build(name="long_range/nl_beacon_R18", *options, device="cpu"):
    cfg = model_zoo.get_config(name)
    cfg.merge_from_list(["MODEL.DEVICE", device, *options])
    with torch.device(device):
        return build_model(cfg)


def positive(model):
    """Every weight above 0, as large as keeps float64 from ending, so that nothing cancels."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.fill_(1 / parameter[0].numel())
            else:
                parameter.zero_()
        for module in model.modules():
            if hasattr(module, "running_var"):
                module.weight.fill_(1)
    return model.double().eval()


def lit(model, column, width):
    """The maps of an image in which one column is lit."""
    image = torch.zeros(1, 3, HEIGHT, width, dtype=torch.float64)
    image[..., column] = 1
    with torch.no_grad():
        return model.backbone(image)


def test_a_region_sees_as_far_as_is_said_and_no_farther():
    side, width = 24, 336
    reach = detection_reach(build(device="meta"), side, side)
    assert reach.keypoint is None
    model = positive(build("long_range/beacon_R18"))
    maps = lru_cache(lambda column: lit(model, column, width))

    def sees(box, column):
        features = [maps(column)[name] for name in model.roi_heads.box_in_features]
        return bool(model.roi_heads.box_pooler(features, [box]).any())

    attained = False
    for left in range(152, 168):  # one period of the coarsest level
        box = Boxes(torch.tensor([[left, 4.0, left + side, 4.0 + side]]))
        middle = left + side / 2
        first = math.ceil(middle - reach.box - 0.5)  # the columns whose middles are as far away
        last = math.floor(middle + reach.box - 0.5)
        assert not sees(box, first - 1)
        assert not sees(box, last + 1)
        attained |= sees(box, first) and middle - first - 0.5 == reach.box
    assert attained


def test_the_number_by_hand():
    # A region from x to x + 24 is 6 cells of p2 in 7 bins, its first sample is at
    # x / 4 - 1/2 + 3/7, so at x = 4 k it reads cell k - 1, which sees down to 4 (k - 1) - 121 (see
    # test_receptive_field.py): the middle of that pixel is 4 + 121 - 1/2 to the left of x.
    reach = detection_reach(build("long_range/beacon_R18", device="meta"), 24, 24)
    assert reach.box == 12 + 4 + 121 - 0.5


def test_the_longer_side_decides():
    model = build("long_range/beacon_R18", *SHORT, device="meta")
    across, upright = detection_reach(model, 48, 24), detection_reach(model, 24, 48)
    assert across == upright
    assert across.box > detection_reach(model, 24, 24).box


def test_a_heat_maps_places_see_as_far_as_is_said_and_no_farther():
    options = [*SHORT, *KEYPOINTS, "MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION", 14]
    side, width = 56, 184
    reach = detection_reach(build("long_range/beacon_R18", *options, device="meta"), side, 20)
    model = positive(build("long_range/beacon_R18", *options))
    heads = model.roi_heads
    farthest = 0.0
    for column in range(width // 2):
        maps = [lit(model, column, width)[name] for name in heads.keypoint_in_features]
        for left in range(64, 72):
            box = Boxes(torch.tensor([[left, 4.0, left + side, 24.0]]))
            with torch.no_grad():
                heat = heads.keypoint_head.layers(heads.keypoint_pooler(maps, [box]))[0, 0]
            places = left + (torch.arange(4 * 14) + 0.5) * side / (4 * 14)
            at = places[heat.gt(0).any(0)]
            farthest = max([farthest, *(at - column - 0.5).abs().tolist()])
    assert farthest == reach.keypoint
    assert reach.keypoint < reach.box + side / 2


def test_what_has_no_reach_is_refused():
    model = build("long_range/beacon_R18", device="meta")
    for size in ((0, 24), (24, math.nan)):
        with pytest.raises(ValueError, match="expected sides above 0"):
            detection_reach(model, *size)
    with pytest.raises(ValueError, match="roi_heads are NoneType; .*StandardROIHeads"):
        detection_reach(torch.nn.Identity(), 24, 24)
