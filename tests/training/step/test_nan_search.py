"""The module that goes wrong first, in Detectron2's own networks, which change maps in place."""

import pytest
import torch
from detectron2.data import build_detection_train_loader
from detectron2.modeling import build_model
from small_models import small_config
from torch import nn

from nonlocal_det.layers import insert_after
from nonlocal_det.training.step.micro_batch import MicroBatch, get_rng_state
from nonlocal_det.training.step.nan_search import diagnose
from nonlocal_det.training.step.precision import Precision

CPU = torch.device("cpu")


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient.index_fill(0, torch.tensor(0), torch.inf)


class Spike(nn.Module):
    """The identity, whose gradient is infinite."""

    def forward(self, x):
        return _Spike.apply(x)


@pytest.fixture
def part(mini_coco):
    options = ["SOLVER.IMS_PER_BATCH", 2, "INPUT.MIN_SIZE_TRAIN", (64,)]
    cfg = small_config("quick/nl_mask_keypoint_rcnn_R18", *options)
    data = next(iter(build_detection_train_loader(cfg)))
    return MicroBatch(data, rng_state=get_rng_state(CPU))


@pytest.fixture
def model():
    return build_model(small_config("quick/nl_mask_keypoint_rcnn_R18"))


def look(model, part, gradients):
    before = {name: value.clone() for name, value in model.named_parameters()}
    found = diagnose(model, part, Precision(CPU), gradients=gradients)
    for name, parameter in model.named_parameters():
        assert parameter.grad is None
        assert torch.equal(parameter, before[name])
    assert not any(module._forward_hooks for module in model.modules())
    return found


def test_what_is_well_is_said_to_be(model, part):
    assert look(model, part, gradients=False) is None
    assert look(model, part, gradients=True) is None


@pytest.mark.parametrize(("stage", "after"), [("res4", "nl0"), ("stem", None)])
def test_the_module_whose_backward_pass_goes_wrong_is_found(model, part, stage, after):
    bottom_up = model.backbone.bottom_up
    if after is None:
        model.backbone.bottom_up.stem = nn.Sequential(bottom_up.stem, Spike())
        name = "backbone.bottom_up.stem.1"
    else:
        insert_after(getattr(bottom_up, stage), after, "spike", Spike())
        name = f"backbone.bottom_up.{stage}.spike"
    found = look(model, part, gradients=True)
    assert found.where.startswith(
        f"first in the backward pass of {name} (Spike), in _SpikeBackward; in"
    )
    assert len(found.images) == 2


class Plus(nn.Module):
    """Keeps nothing of what it is given."""

    def forward(self, x):
        return x + 1


class Changing(nn.Module):
    """Changes a map in place between two modules that take it."""

    def __init__(self):
        super().__init__()
        self.conv, self.plus = nn.Conv2d(1, 2, 1), Plus()
        self.outer = nn.Sequential(Spike())

    def forward(self, x):
        x = self.conv(x)
        other = self.plus(x)
        return {"loss": (self.outer(nn.functional.relu_(x)) + other).sum()}


def test_of_the_takers_of_a_map_the_one_that_goes_wrong_is_found():
    """Not the other one, which took it before it was changed, nor what is around it."""
    model = Changing()
    nn.init.constant_(model.conv.bias, 5.0)  # the ReLU is open
    found = diagnose(model, MicroBatch(torch.rand(2, 1, 5, 5)), Precision(CPU), gradients=True)
    assert found.where == (
        "first in the backward pass of outer.0 (Spike), in _SpikeBackward; "
        "in the gradients of conv.weight, conv.bias"
    )


def test_code_between_modules_is_named_by_the_module_around_it(model, part):
    predictor = model.roi_heads.box_predictor
    losses = predictor.losses

    def spiked(predictions, proposals):
        return losses((_Spike.apply(predictions[0]), predictions[1]), proposals)

    predictor.losses = spiked
    found = look(model, part, gradients=True)
    assert (
        "first in the backward pass of roi_heads (StandardROIHeads), in _SpikeBackw" in found.where
    )


def test_a_block_that_does_not_look_at_padding_is_no_false_alarm(model, part):
    """Its pooling is given -inf where the padding is."""
    height, width = part.data[0]["image"].shape[-2:]
    large = torch.zeros(3, height + 96, width + 96, dtype=torch.uint8)
    part.data[1]["image"] = large
    minus_inf = []
    pool = model.backbone.bottom_up.res4.nl0.pool
    pool.register_forward_hook(lambda _, __, made: minus_inf.append(bool(torch.isinf(made).any())))
    model.roi_heads.box_predictor.cls_score.bias.data.fill_(1e38)
    model.roi_heads.box_predictor.cls_score.weight.data.fill_(1e38)
    found = diagnose(model, part, Precision(CPU), gradients=False)
    assert any(minus_inf)
    assert "first in roi_heads.box_predictor" in found.where
