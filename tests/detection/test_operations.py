"""MODEL.NONLOCAL.OPERATION: the paper's block and what it is compared with, by one key."""

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_backbone, build_model
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage
from small_models import small_config

from nonlocal_det.layers import (
    OPERATIONS,
    GlobalContextBlock,
    NonLocalBlock,
    PerPositionBlock,
    nonlocal_blocks,
)

KINDS = dict(zip(OPERATIONS, (NonLocalBlock, PerPositionBlock, GlobalContextBlock), strict=True))
NAME = "quick/nl_mask_keypoint_rcnn_R18"


def backbone(*options: object) -> torch.nn.Module:
    torch.manual_seed(11)
    return build_backbone(small_config(NAME, *options), ShapeSpec(channels=3))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_operation_is_what_the_key_says_and_the_rest_stays(operation):
    plain, model = backbone(), backbone("MODEL.NONLOCAL.OPERATION", operation)
    assert {n: type(b) for n, b in nonlocal_blocks(model).items()} == {
        "bottom_up.res4.nl0": KINDS[operation]
    }
    states = [{k: v for k, v in m.state_dict().items() if ".nl" not in k} for m in (plain, model)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    x = torch.rand(1, 3, 64, 96)
    for one, other in zip(plain.eval()(x).values(), model.eval()(x).values(), strict=True):
        assert torch.equal(one, other)  # every one of them starts as the identity


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["OPERATION", "local"],
            ["'local' (MODEL.NONLOCAL.OPERATION)", "'per_position'"],
        ),
        (
            ["OPERATION", "global_context", "PAIRWISE", "dot_product"],
            ["pairwise='dot_product' (MODEL.NONLOCAL.PAIRWISE)", "leave it at 'embedded_gaussian'"],
        ),
        (
            ["OPERATION", "per_position", "SUBSAMPLE", "before"],
            ["subsample='before' (MODEL.NONLOCAL.SUBSAMPLE)", "'after' or 'none'"],
        ),
    ],
)
def test_what_an_operation_cannot_be_is_refused_by_key(options, words):
    keyed = [f"MODEL.NONLOCAL.{o}" if k % 2 == 0 else o for k, o in enumerate(options)]
    with pytest.raises(ValueError) as error:
        backbone(*keyed)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize("name", ["nl", "control", "gcnet"])
def test_each_arm_of_the_long_range_benchmark_learns(name):
    model = build_model(small_config(f"long_range/{name}_beacon_R18"))
    truth = Instances((64, 320))
    truth.gt_boxes = Boxes(torch.tensor([[40.0, 20.0, 60.0, 40.0]]))
    truth.gt_classes = torch.tensor([1])
    image = torch.randint(0, 255, (3, 64, 320)).float()
    with EventStorage():
        losses = model.train()([{"image": image, "instances": truth}] * 2)
    sum(losses.values()).backward()
    (block,) = nonlocal_blocks(model).values()
    assert block.zero_init_layer.weight.grad.abs().max() > 0
