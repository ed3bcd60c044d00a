"""The costs of whole detectors, and what a table says of them."""

import json

import pytest
import torch
from detectron2.modeling import build_model
from small_models import small_config

from nonlocal_det import model_zoo
from nonlocal_det.analysis import Setting, detector_costs
from nonlocal_det.layers import nonlocal_blocks


@pytest.fixture(scope="module")
def pair():
    nl, base = "quick/nl_mask_keypoint_rcnn_R18", "quick/mask_keypoint_rcnn_R18"
    return detector_costs(small_config(nl), nl), detector_costs(small_config(base), base)


def test_every_parameter_and_every_operator_is_in_a_part(pair):
    for report in pair:
        with torch.device("meta"):
            cfg = small_config(report.name, "MODEL.DEVICE", "meta")
            model = build_model(cfg)
        assert report.total.parameters == sum(p.numel() for p in model.parameters())
        assert list(report.blocks) == list(nonlocal_blocks(model))
        assert report.unknown == {}


def test_the_blocks_are_the_whole_difference(pair):
    nl, base = pair
    assert nl.total.multiply_adds - base.total.multiply_adds == nl.all_blocks.multiply_adds
    assert nl.total.parameters - base.total.parameters == nl.all_blocks.parameters
    assert nl.extra == nl.all_blocks.multiply_adds / base.total.multiply_adds
    heat_maps = 10 * 17 * 56 * 56 * 4  # made by a method of the head that is not its forward
    assert nl.parts["keypoint head"].largest_bytes == heat_maps
    for part in ("stem", "res2", "res3", "res5", "fpn", "rpn", "box head", "mask head"):
        assert nl.parts[part] == base.parts[part], part


def test_heads_cost_their_layers_times_their_rois():
    cfg = model_zoo.get_config("mask_rcnn_R50")
    report = detector_costs(cfg, proposals=1000, detections=100, memory=False)
    box = 256 * 7 * 7 * 1024 + 1024 * 1024 + 1024 * (81 + 80 * 4)
    assert report.parts["box head"].multiply_adds == 1000 * box
    mask = 4 * 256 * 256 * 9 * 14**2 + 256 * 256 * 4 * 14**2 + 256 * 80 * 28**2
    assert report.parts["mask head"].multiply_adds == 100 * mask
    cells = sum((800 // s) * (1344 // s) for s in (4, 8, 16, 32)) + 13 * 21  # p6: 25x42 halved
    assert report.parts["rpn"].multiply_adds == cells * (256 * 256 * 9 + 256 * 3 + 256 * 12)
    # of 512 sampled RoIs a quarter may be of objects, for which alone masks are learnt
    assert report.training == Setting(800, 1344, proposals=512, detections=128)
    fewer = detector_costs(cfg, proposals=10, detections=0, memory=False)
    assert fewer.parts["box head"].multiply_adds == 10 * box
    assert fewer.parts["mask head"].multiply_adds == 0


def test_the_frozen_stages_keep_nothing_for_backward():
    cfg = model_zoo.get_config("mask_rcnn_R50")
    frozen = detector_costs(cfg, size=(64, 96)).parts
    cfg.MODEL.BACKBONE.FREEZE_AT = 1
    thawed = detector_costs(cfg, size=(64, 96)).parts
    assert frozen["stem"].saved_bytes == frozen["res2"].saved_bytes == 0
    assert thawed["stem"].saved_bytes == 0 < thawed["res2"].saved_bytes


def test_the_size_is_the_configs_own_unless_given():
    cfg = small_config("mask_rcnn_R50")
    assert detector_costs(cfg, memory=False).inference.width == 1344
    assert detector_costs(cfg, size=(100, 130), memory=False).inference.height == 128


def test_a_deformable_convolution_counts_as_a_convolution_with_its_offsets():
    options = ["MODEL.RESNETS.DEPTH", 50, "MODEL.RESNETS.RES2_OUT_CHANNELS", 256]
    plain = small_config("quick/mask_keypoint_rcnn_R18", *options)
    options += ["MODEL.RESNETS.DEFORM_ON_PER_STAGE", [False, False, False, True]]
    for modulated, offsets in ((False, 18), (True, 27)):
        options += ["MODEL.RESNETS.DEFORM_MODULATED", modulated]
        deformable = small_config("quick/mask_keypoint_rcnn_R18", *options)
        a, b = (detector_costs(cfg, size=(64, 64)).parts["res5"] for cfg in (plain, deformable))
        assert b.multiply_adds - a.multiply_adds == 3 * offsets * 512 * 9 * 2 * 2


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ([], {"size": (0, 100)}, "--size 0"),
        ([], {"proposals": 0}, "--proposals 0"),
        ([], {"detections": -1}, "--detections -1"),
        ([], {"device": "tpu"}, "--device 'tpu'; expected one of cpu, cuda"),
        (["MODEL.ROI_HEADS.NAME", "CascadeROIHeads"], {}, "MODEL.ROI_HEADS.NAME='CascadeROIHeads'"),
    ],
)
def test_bad_input_is_named(options, arguments, message):
    cfg = small_config("quick/nl_mask_keypoint_rcnn_R18", "MODEL.MASK_ON", False)
    cfg.MODEL.KEYPOINT_ON = False
    if "CascadeROIHeads" in options:
        cfg.MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG = True
    cfg.merge_from_list(options)
    with pytest.raises(ValueError, match=message):
        detector_costs(cfg, **arguments)


def test_sync_bn_is_counted_as_batch_norm():
    costs = [
        detector_costs(
            small_config("quick/nl_mask_keypoint_rcnn_R18", "MODEL.NONLOCAL.NORM", norm)
        ).total
        for norm in ("SyncBN", "BN")
    ]
    assert costs[0] == costs[1]
    cfg = small_config("quick/nl_mask_keypoint_rcnn_R18", "MODEL.NONLOCAL.NORM", "SyncBN")
    assert detector_costs(cfg, device="cuda").total.saved_bytes > 0


def test_a_report_is_plain_data(pair):
    data = json.loads(json.dumps(pair[0].as_dict()))
    assert data["total"]["parameters"] == pair[0].total.parameters
    assert data["parts"]["res4"]["multiply_adds"] > 0
