"""Whole files: every name of a network is ours afterwards, and what cannot be equal is refused."""

import pytest
import torch
from detectron2.modeling.backbone.resnet import BasicStem, ResNet
from peer_blocks import Mmcv, SlowFast
from torch import nn
from torchvision.models import resnet50

from nonlocal_det.checkpoint.convert import Choices, check_fit, convert_state
from nonlocal_det.layers import nonlocal_blocks
from nonlocal_det.model_zoo.models import build_config

R50 = {"res2": 3, "res3": 4, "res4": 6, "res5": 3}
NL = {"AFTER_BLOCKS": [[], [1, 3], [1, 3, 5], []]}
PREFIX = "backbone.bottom_up."


@pytest.fixture(scope="module")
def five_blocks():
    """R50 with the authors' five blocks, on no memory."""
    options = [("AFTER_BLOCKS", NL["AFTER_BLOCKS"]), ("SUBSAMPLE", "before"), ("SCALE", True)]
    opts = [word for key, value in options for word in (f"MODEL.NONLOCAL.{key}", value)]
    return build_config("nl_mask_rcnn_R50", opts, device="meta")


def backbone_shapes(model):
    state = model.state_dict()
    return {n: tuple(v.shape) for n, v in state.items() if n.startswith(PREFIX)}


def video(shape):
    """The same window on each of one frame."""
    return (*shape[:2], 1, *shape[2:]) if len(shape) == 4 else shape


def caffe2_file(model, affine=False):
    """Every tensor of the network by the authors' names, as big in memory as one number."""
    branches = {"shortcut": "1", "conv1": "2a", "conv2": "2b", "conv3": "2c"}
    ends = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}
    state = {"pred_w": torch.zeros(2, 2), "pred_b": torch.zeros(2)}
    for name, shape in backbone_shapes(model).items():
        stage, *words = name.removeprefix(PREFIX).split(".")
        end = words[-1]
        if affine and end.startswith("running"):
            continue
        if words[0].startswith("nl"):
            layer = "out" if words[1] == "w_z" else words[1]
            theirs = f"nonlocal_conv{stage[3]}_{words[0][2:]}_{layer}_{end[0]}"
        elif stage == "stem":
            theirs = "conv1_w" if words[1] == "weight" else f"res_conv1_bn_{ends[end]}"
        else:
            middle = f"{stage}_{words[0]}_branch{branches[words[1]]}"
            theirs = f"{middle}_w" if words[2] == "weight" else f"{middle}_bn_{ends[end]}"
        state[theirs] = torch.ones(()).expand(video(shape))
        if theirs.startswith("nonlocal") and theirs.endswith("out_b"):
            for norm in ("s", "b") if affine else ("s", "b", "rm", "riv"):
                state[theirs.replace("out_b", f"bn_{norm}")] = torch.ones(()).expand(shape)
    return state


def slowfast_file(model):
    branches = {"shortcut": "branch1", "conv1": "branch2.a", "conv2": "branch2.b"}
    branches["conv3"] = "branch2.c"
    layers = {"theta": "conv_theta", "phi": "conv_phi", "g": "conv_g", "w_z": "conv_out"}
    state = {}
    for name, shape in backbone_shapes(model).items():
        stage, *words = name.removeprefix(PREFIX).split(".")
        end = words[-1]
        if words[0].startswith("nl"):
            start = f"s{stage[3]}.pathway0_nonlocal{words[0][2:]}"
            theirs = f"{start}.{layers[words[1]]}.{end}"
        elif stage == "stem":
            layer = "conv" if words[1] == "weight" else "bn"
            theirs = f"s1.pathway0_stem.{layer}.{end}"
        else:
            start = f"s{stage[3]}.pathway0_res{words[0]}.{branches[words[1]]}"
            theirs = f"{start}.weight" if words[2] == "weight" else f"{start}_bn.{end}"
        state[theirs] = torch.ones(()).expand(video(shape))
    return state


@pytest.mark.parametrize(
    ("source", "affine"), [("caffe2", False), ("caffe2", True), ("slowfast", False)]
)
def test_a_video_network_fills_every_tensor_of_ours(five_blocks, source, affine):
    file = caffe2_file(five_blocks, affine) if source == "caffe2" else slowfast_file(five_blocks)
    conversion = convert_state(file, source)
    assert {n: tuple(v.shape) for n, v in conversion.state.items()} == backbone_shapes(five_blocks)
    assert conversion.options["AFTER_BLOCKS"] == NL["AFTER_BLOCKS"]
    assert conversion.unused == (("pred_w", "pred_b") if source == "caffe2" else ())
    check_fit(conversion, five_blocks)
    said = str(conversion)
    assert 'MODEL.NONLOCAL.AFTER_BLOCKS "[[], [1, 3], [1, 3, 5], []]"' in said
    row = "nonlocal_conv4_5_theta_w" if source == "caffe2" else "s4.pathway0_nonlocal5.conv_theta"
    assert any(row in line and "res4.nl5.theta.weight" in line for line in said.splitlines())


def test_an_affine_norm_of_the_backbone_stays_what_it_is(five_blocks):
    conversion = convert_state(caffe2_file(five_blocks, affine=True), "caffe2")
    norm = PREFIX + "res2.0.conv1.norm."
    state = {end: conversion.state[norm + end] for end in ("weight", "bias")}
    x = torch.randn(1, 64, 3, 3)
    found = nn.functional.batch_norm(
        x, conversion.state[norm + "running_mean"], conversion.state[norm + "running_var"], **state
    )
    torch.testing.assert_close(found, x * state["weight"].view(-1, 1, 1) + 1)


def test_torchvisions_names_give_the_same_features():
    """The names of mmdetection's ResNets too."""
    theirs = resnet50(weights=None).eval()
    for name, tensor in theirs.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            tensor.normal_(std=0.1)
    stages = ResNet.make_default_stages(50, norm="BN", stride_in_1x1=False)
    resnet = ResNet(BasicStem(norm="BN"), stages, out_features=["res5"]).eval()
    state = dict(theirs.state_dict())
    state |= {f"layer3.5.nl.{n}": v for n, v in Mmcv(1024, "dot_product").state_dict().items()}
    choices = Choices(places={"layer3.5.nl": "res4.nl5"}, prefix="")
    conversion = convert_state(state, "mmcv", choices)
    assert conversion.unused == ("fc.weight", "fc.bias")
    rest = {n: v for n, v in conversion.state.items() if ".nl5." not in n}
    missing, unexpected = resnet.load_state_dict(rest, strict=False)
    assert unexpected == []
    assert all(name.endswith("num_batches_tracked") for name in missing)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        y = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x))))
        expected = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(y))))
        torch.testing.assert_close(resnet(x)["res5"], expected)
    assert "may be another function" in " ".join(conversion.notes)


def block_of(cls=Mmcv, *arguments, place="layer3.5.nonlocal_block"):
    state = cls(8, *(arguments or ("embedded_gaussian",))).state_dict()
    return {f"{place}.{name}": value for name, value in state.items()}


@pytest.mark.parametrize(
    ("state", "source", "choices", "said"),
    [
        (block_of(), "mmcv", {}, "mmdetection has the block .*inside a residual block.*--place"),
        (block_of(), "slowfast", {}, "no non-local block by the names of SlowFast.*those of mmcv"),
        ({"conv1.weight": torch.ones(1)}, "mmcv", {}, "among 1 tensors.*is it a baseline"),
        (block_of(), "zzz", {}, "source='zzz'; expected one of 'caffe2'"),
        (
            block_of(place="a") | {"a.conv_out.gn.weight": torch.ones(8)},
            "mmcv",
            {},
            "the block a has a.conv_out.gn.weight, so by mmcv's names it is another function",
        ),
        (
            {"a.channel_add_conv.3.weight": torch.ones(8, 2, 1, 1)},
            "gcnet",
            {},
            "the block a lacks our w_k, w_v1, norm",  # averages where ours attends
        ),
        (block_of(), "mmcv", {"pairwise": "gaussian"}, "pairwise='gaussian', but the block layer3"),
        (block_of(Mmcv, "gaussian"), "mmcv", {"pairwise": "dot_product"}, "is gaussian; leave"),
        (block_of(), "mmcv", {"subsample": "after"}, "by its names .* has subsample='none'"),
        (block_of(Mmcv, "concatenation"), "mmcv", {"scale": True}, "has no product to scale"),
        (block_of(), "mmcv", {"norm": "BN"}, "has no norm after w_z and no statistics"),
        (block_of(), "mmcv", {"places": {"b": "c"}}, r"no block 'b'; it has 'layer3.5.nonlocal_"),
        (
            {
                f"s4.pathway1_nonlocal0.{n}": v
                for n, v in SlowFast(8, "softmax", False, False).state_dict().items()
            },
            "slowfast",
            {},
            "not in pathway 0 of a SlowFast network",
        ),
    ],
)
def test_what_cannot_be_equal_is_refused(state, source, choices, said):
    at = {"places": {"layer3.5.nonlocal_block": "res4.nl5"}} if choices else {}
    with pytest.raises(ValueError, match=said):
        convert_state(state, source, Choices(**(at | choices)))


def test_an_inflated_convolution_has_no_2d_equal(five_blocks):
    file = caffe2_file(five_blocks)
    file["res4_0_branch2a_w"] = torch.ones(256, 512, 3, 1, 1)
    with pytest.raises(ValueError, match=r"res4_0_branch2a_w has shape .* window of 3 frames"):
        convert_state(file, "caffe2")


def test_blocks_of_2d_and_of_3d_maps_are_named_as_they_are():
    kinds = {"a": Mmcv(8, "embedded_gaussian", ndim=2), "b": Mmcv(8, "embedded_gaussian", ndim=3)}
    state = {f"{place}.{n}": v for place, one in kinds.items() for n, v in one.state_dict().items()}
    places = {"a": "res3.nl1", "b": "res4.nl1"}
    notes = " ".join(convert_state(state, "mmcv", Choices(places=places)).notes)
    assert "blocks of 2D and 3D maps, now 2D" in notes


def test_blocks_that_differ_have_no_one_config():
    state = block_of(place="a") | block_of(Mmcv, "gaussian", place="b")
    with pytest.raises(ValueError, match="the blocks differ: .*at b, .*gaussian"):
        convert_state(state, "mmcv", Choices(places={"a": "res3.nl1", "b": "res4.nl1"}))


@pytest.mark.parametrize(
    ("config", "options", "said"),
    [
        (
            "nl_mask_rcnn_R50",
            [],
            r"at backbone.bottom_up.res3.nl1.* the model at \S*res4.nl4: .*another position.*"
            r'AFTER_BLOCKS "\[\[\], \[1, 3\], \[1, 3, 5\], \[\]\]"',
        ),
        (
            "ablations/nl_mask_rcnn_R50_5blocks",
            [],
            "have SUBSAMPLE='before', the model.* 'after'; set MODEL.NONLOCAL.SUBSAMPLE \"bef",
        ),
        (
            "ablations/nl_mask_rcnn_R50_5blocks",
            ["MODEL.NONLOCAL.SUBSAMPLE", "before", "MODEL.NONLOCAL.SCALE", True]
            + ["MODEL.NONLOCAL.BOTTLENECK_RATIO", 0.25],
            r"of another shape: .*res3.nl1.theta.weight \(256, 512, 1, 1\) for \(128, ",
        ),
    ],
)
def test_a_model_of_another_function_is_refused(five_blocks, config, options, said):
    conversion = convert_state(caffe2_file(five_blocks), "caffe2")
    with pytest.raises(ValueError, match=said):
        check_fit(conversion, build_config(config, options, device="meta"))


def test_the_control_of_equal_cost_is_not_the_block():
    state = Mmcv(1024, "embedded_gaussian", sub_sample=True, use_scale=False).state_dict()
    places = {"": "backbone.bottom_up.res4.nl4"}
    conversion = convert_state(state, "mmcv", Choices(scale=False, places=places))
    unscaled = ["MODEL.NONLOCAL.SCALE", "False"]
    check_fit(conversion, build_config("nl_mask_rcnn_R50", unscaled, device="meta"))
    options = [*unscaled, "MODEL.NONLOCAL.OPERATION", "per_position"]
    control = build_config("nl_mask_rcnn_R50", options, device="meta")
    with pytest.raises(ValueError, match="OPERATION='nonlocal', the model's .*'PerPosition"):
        check_fit(conversion, control)


def test_the_blocks_named_are_those_of_the_model(five_blocks):
    assert [n.removeprefix(PREFIX) for n in nonlocal_blocks(five_blocks)] == [
        *("res3.nl1", "res3.nl3", "res4.nl1", "res4.nl3", "res4.nl5"),
    ]
