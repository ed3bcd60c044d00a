"""Gradient checkpointing: the same gradients for less memory, whatever is known of the padding."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from nonlocal_det.layers import BlockOptions, checkpoint_gradients, known_padding
from nonlocal_det.layers.checkpointing import CheckpointedStage

SIZES = [[(8, 12), (12, 7)], [(12, 12), (5, 9)]]


def build(operation="nonlocal"):
    torch.manual_seed(0)
    block = BlockOptions(operation=operation, norm="").build(8)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    stage = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
    stage.add_module("nl1", block)
    stage.add_module("2", nn.Conv2d(8, 8, 3, padding=1))
    return stage.train()


def gradients(stage, run, batches=SIZES):
    """Of one pass forward and backward for each batch, one after the other."""
    torch.manual_seed(1)
    for sizes in batches:
        x = torch.randn(2, 8, 12, 12, requires_grad=True)
        with known_padding(stage, sizes, (12, 12)):
            y = run(x)
        y.square().mean().backward()
    return {name: parameter.grad for name, parameter in stage.named_parameters()}


@pytest.mark.parametrize("operation", ["nonlocal", "global_context"])
@pytest.mark.parametrize("what", ["stages", "blocks", "by hand, reentrant", "by hand"])
def test_gradients_and_statistics_are_those_without_it(what, operation):
    plain = build(operation)
    stage = copy.deepcopy(plain)
    expected = gradients(plain, plain)
    if what.startswith("by hand"):
        reentrant = what.endswith("reentrant")
        got = gradients(stage, lambda x: checkpoint(stage, x, use_reentrant=reentrant))
    else:
        checkpoint_gradients(stage, what)
        assert type(stage) is CheckpointedStage
        got = gradients(stage, stage)
        for name, buffer in plain.named_buffers():  # a second pass counts no batch again
            torch.testing.assert_close(dict(stage.named_buffers())[name], buffer, rtol=0, atol=0)
    assert list(stage.state_dict()) == list(plain.state_dict())
    for name, gradient in expected.items():
        torch.testing.assert_close(got[name], gradient, msg=name)


@pytest.mark.parametrize("what", ["stages", "blocks"])
def test_two_batches_before_one_backward_pass(what):
    plain = build()
    stage = copy.deepcopy(plain)
    checkpoint_gradients(stage, what)
    for one in (plain, stage):
        torch.manual_seed(1)
        total = 0
        for sizes in SIZES:
            with known_padding(one, sizes, (12, 12)):
                total = total + one(torch.randn(2, 8, 12, 12)).square().mean()
        total.backward()
    for got, expected in zip(stage.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(got.grad, expected.grad)


def test_by_hand_two_batches_before_one_backward_pass_are_refused():
    stage = build()
    total = 0
    for sizes in SIZES:
        with known_padding(stage, sizes, (12, 12)):
            x = torch.randn(2, 8, 12, 12)
            total = total + checkpoint(stage, x, use_reentrant=False).mean()
    with pytest.raises(RuntimeError, match="GRADIENT_CHECKPOINTING"):
        total.backward()


def test_a_copy_of_a_checkpointed_stage_is_its_own():
    stage = build()
    checkpoint_gradients(stage, "stages")
    other = copy.deepcopy(stage)
    other(torch.randn(2, 8, 12, 12)).mean().backward()
    assert all(parameter.grad is None for parameter in stage.parameters())
    assert all(parameter.grad is not None for parameter in other.parameters())


def count_kept(what):
    stage, saved = build(), []
    checkpoint_gradients(stage, what)
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        stage(torch.randn(2, 8, 12, 12))
    return len(saved)


def test_less_is_kept_for_the_backward_pass():
    assert count_kept("stages") <= count_kept("blocks") < count_kept("")


@pytest.mark.parametrize(
    ("stage", "what", "error", "message"),
    [
        (nn.Sequential(), "everything", ValueError, "GRADIENT_CHECKPOINTING is 'everything'"),
        (nn.ModuleList(), "stages", TypeError, "ModuleList"),
    ],
)
def test_what_cannot_be_checkpointed_is_refused(stage, what, error, message):
    with pytest.raises(error, match=message):
        checkpoint_gradients(stage, what)
