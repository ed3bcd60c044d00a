import contextlib

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, build_backbone
from detectron2.modeling.backbone.resnet import BasicStem, ResNet
from small_models import small_config

from nonlocal_det.detection import block_options
from nonlocal_det.detection.backbone import add_nonlocal, build_nonlocal_resnet_fpn_backbone
from nonlocal_det.layers import (
    OPERATIONS,
    PAIRWISE,
    BlockOptions,
    known_padding,
    nonlocal_blocks,
)

RGB = ShapeSpec(channels=3)


def resnet(depth: int, last: str = "res5", freeze_at: int = 0, **kwargs) -> ResNet:
    stages = ResNet.make_default_stages(depth, norm="BN", **kwargs)
    return ResNet(BasicStem(norm="BN"), stages, out_features=[last], freeze_at=freeze_at)


@pytest.mark.parametrize(
    ("depth", "name"),
    [(18, "nl0"), (34, "nl4"), (50, "nl4"), (101, "nl21"), (152, "nl34")],
)
def test_minus_two_is_right_before_the_last_block_at_every_depth(depth, name):
    with torch.device("meta"):
        model = resnet(depth)
        names = list(model.state_dict())
        add_nonlocal(model, [[], [], [-2], []])
    children = [child for child, _ in model.res4.named_children()]
    assert children[-2:] == [name, str(len(children) - 2)]
    assert [n for n in model.state_dict() if ".nl" not in n] == names  # order included


def test_any_positions_in_any_stages_and_in_the_order_they_run():
    model = add_nonlocal(resnet(50), [[0], [1, 3], [1, 3, 5], [-1]])
    assert list(nonlocal_blocks(model)) == [
        "res2.nl0", "res3.nl1", "res3.nl3", "res4.nl1", "res4.nl3", "res4.nl5", "res5.nl2",
    ]  # fmt: skip
    assert [b.in_channels for b in nonlocal_blocks(model).values()] == [256] + [512] * 2 + [
        1024
    ] * 3 + [2048]
    ran = []
    for name, module in model.res4.named_children():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    model.eval()(torch.zeros(1, 3, 32, 32))
    assert ran == ["0", "1", "nl1", "2", "3", "nl3", "4", "5", "nl5"]


def test_a_second_call_counts_residual_blocks_only():
    model = add_nonlocal(add_nonlocal(resnet(50), [[], [], [0], []]), [[], [], [-2], []])
    assert list(nonlocal_blocks(model)) == ["res4.nl0", "res4.nl4"]
    with pytest.raises(ValueError, match="'nl4' already"):
        add_nonlocal(model, [[], [], [4], []])


def test_the_block_is_what_the_options_say():
    options = BlockOptions(pairwise="dot_product", norm="GN")
    model = add_nonlocal(resnet(18), [[], [], [-2], []], options)
    assert model.res4.nl0.pairwise == "dot_product"
    assert isinstance(model.res4.nl0.norm, torch.nn.GroupNorm)


def test_gradients_reach_the_block_and_what_is_below_it():
    model = add_nonlocal(resnet(18), [[], [], [-2], []])
    model(torch.randn(2, 3, 64, 64))["res5"].square().mean().backward()
    assert model.res4.nl0.w_z.weight.grad.abs().max() > 0
    assert model.res2[0].conv1.weight.grad.abs().max() > 0


def test_regions_come_from_the_config():
    cfg = small_config("quick/nl_mask_keypoint_rcnn_R18", "MODEL.NONLOCAL.REGIONS", "[2, 3]")
    assert build_backbone(cfg).bottom_up.res4.nl0.options.regions == (2, 3)
    assert block_options(small_config()).regions == ()


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("pairwise", PAIRWISE)
@pytest.mark.parametrize("padded", [False, True])
def test_a_backbone_is_one_compiled_graph(operation, pairwise, padded):
    if operation == "global_context" and pairwise != "embedded_gaussian":
        return  # it has no pairwise function
    torch._dynamo.reset()
    options = BlockOptions(operation=operation, pairwise=pairwise)
    model = add_nonlocal(resnet(18, last="res4"), [[], [0], [-2], []], options).eval()
    for block in nonlocal_blocks(model).values():
        torch.nn.init.normal_(block.zero_init_layer.weight, std=0.1)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    sizes = [(64, 96), (33, 50)] if padded else [(64, 96), (64, 96)]
    x = torch.randn(2, 3, 64, 96)
    with known_padding(model, sizes, (64, 96)) if padded else contextlib.nullcontext():
        torch.testing.assert_close(compiled(x)["res4"], model(x)["res4"])
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("after_blocks", "options", "words"),
    [
        ([[], [], [6], []], {}, ["AFTER_BLOCKS", "res4 has 6 residual blocks", "6", "-6..5"]),
        ([[], [], [-7], []], {}, ["position -7 does not exist"]),
        ([[], [], [], []], {}, ["without a non-local block", "build_resnet_fpn_backbone"]),
        ([[], [], [-2]], {}, ["expected four lists"]),
        ([[], [], [-2, 4], []], {}, ["same position twice"]),
        ([[], [], [], [-2]], {"last": "res4"}, ["no res5", "ends at res4"]),
        ([[-2], [], [], []], {"freeze_at": 2}, ["res2 is frozen", "FREEZE_AT to at most 1"]),
        ([[], [], [-2], []], {"freeze_at": 4}, ["res4 is frozen", "FREEZE_AT to at most 3"]),
    ],
)
def test_a_dead_or_impossible_position_is_refused(after_blocks, options, words):
    with pytest.raises(ValueError) as error:
        add_nonlocal(resnet(50, **options), after_blocks)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_only_a_resnet_can_be_extended():
    with pytest.raises(TypeError, match="Detectron2 ResNet, not a Linear"):
        add_nonlocal(torch.nn.Linear(2, 2), [[], [], [-2], []])


def test_freezing_later_is_refused_while_the_block_is_dead():
    model = add_nonlocal(resnet(18), [[], [], [-2], []])
    with pytest.raises(ValueError, match="learnt nothing"):
        model.freeze(4)
    torch.nn.init.ones_(model.res4.nl0.w_z.weight)
    model.freeze(4)
    assert not any(p.requires_grad for p in model.res4.parameters())


@pytest.mark.parametrize(
    "name",
    [
        "build_nonlocal_resnet_backbone",
        "build_nonlocal_resnet_fpn_backbone",
        "build_nonlocal_retinanet_resnet_fpn_backbone",
    ],
)
def test_builders_are_registered_and_build(name):
    cfg = small_config()
    cfg.MODEL.BACKBONE.NAME = name
    assert name in BACKBONE_REGISTRY
    if "retinanet" in name:
        cfg.MODEL.RESNETS.OUT_FEATURES = cfg.MODEL.FPN.IN_FEATURES = ["res3", "res4", "res5"]
    backbone = build_backbone(cfg, RGB)
    assert [n.split(".")[-2:] for n in nonlocal_blocks(backbone)] == [["res4", "nl0"]]
    features = backbone(torch.zeros(1, 3, 64, 64))
    assert {k: v.channels for k, v in backbone.output_shape().items()} == {
        k: f.shape[1] for k, f in features.items()
    }


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("PRESET", "caffe2", ["preset='caffe2' (MODEL.NONLOCAL.PRESET)", "authors_code"]),
        ("PAIRWISE", "softmax", ["pairwise='softmax' (MODEL.NONLOCAL.PAIRWISE)", "dot_product"]),
        ("KERNEL", "cuda", ["kernel='cuda' (MODEL.NONLOCAL.KERNEL)", "sdpa"]),
        ("SUBSAMPLE", "yes", ["subsample='yes' (MODEL.NONLOCAL.SUBSAMPLE)", "before"]),
        ("NORM", "LN", ["norm='LN' (MODEL.NONLOCAL.NORM)", "GN"]),
        ("NORM", "FrozenBN", ["norm='FrozenBN' (MODEL.NONLOCAL.NORM)", "for ever", "use ''"]),
        (
            "BOTTLENECK_RATIO",
            0.001,
            ["bottleneck_ratio=0.001 (MODEL.NONLOCAL.BOTTLENECK_RATIO)", "inner width of 0"],
        ),
    ],
)
def test_bad_keys_are_named(key, value, words):
    cfg = small_config()
    cfg.MODEL.NONLOCAL[key] = value
    with pytest.raises(ValueError) as error:
        build_backbone(cfg, RGB)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_config_without_the_node_says_what_to_call():
    cfg = small_config()
    del cfg.MODEL["NONLOCAL"]
    with pytest.raises(ValueError, match="add_nonlocal_config"):
        build_backbone(cfg, RGB)


def test_preset_decides_what_is_left_null():
    cfg = small_config("quick/nl_mask_keypoint_rcnn_R18", "MODEL.NONLOCAL.PRESET", "authors_code")
    block = next(iter(nonlocal_blocks(build_backbone(cfg, RGB)).values()))
    assert (block.subsample, block.scale, block.options.init) == ("before", True, "normal")
    cfg.merge_from_list(["MODEL.NONLOCAL.SUBSAMPLE", "none", "MODEL.NONLOCAL.SCALE", False])
    block = next(iter(nonlocal_blocks(build_backbone(cfg, RGB)).values()))
    assert (block.subsample, block.scale, block.options.init) == ("none", False, "normal")


@pytest.mark.parametrize("what", ["stages", "blocks"])
def test_a_backbone_with_gradient_checkpointing_has_the_same_gradients(what):
    grads = {}
    for value in ("", what):
        torch.manual_seed(0)
        key = "MODEL.NONLOCAL.GRADIENT_CHECKPOINTING"
        cfg = small_config("quick/nl_mask_keypoint_rcnn_R18", key, value)
        backbone = build_nonlocal_resnet_fpn_backbone(cfg, RGB).train()
        torch.nn.init.normal_(backbone.bottom_up.res4.nl0.w_z.weight, std=0.1)
        with known_padding(backbone, [(64, 64), (48, 40)], (64, 64)):
            features = backbone(torch.rand(2, 3, 64, 64))
        sum(f.square().mean() for f in features.values()).backward()
        grads[value] = {n: p.grad for n, p in backbone.named_parameters() if p.requires_grad}
    assert grads[what].keys() == grads[""].keys()
    for name, grad in grads[""].items():
        torch.testing.assert_close(grads[what][name], grad, msg=name)
