"""A block draws its weights by the seed and its name, and disturbs no other generator."""

import pytest
import torch
from torch import nn

from nonlocal_det.layers import BlockOptions, insert_blocks, nonlocal_blocks
from nonlocal_det.layers.insertion import block_generator


def draw(name="nl0"):
    with block_generator(name):
        return torch.rand(3)


def test_a_block_draws_the_same_under_the_same_seed():
    torch.manual_seed(5)
    first = draw()
    torch.manual_seed(5)
    assert torch.equal(draw(), first)
    torch.manual_seed(5)
    assert not torch.equal(draw("nl1"), first)
    torch.manual_seed(6)
    assert not torch.equal(draw(), first)


def test_what_is_drawn_around_a_block_is_what_would_be_without_it():
    torch.manual_seed(5)
    plain = torch.rand(2), torch.rand(2)
    torch.manual_seed(5)
    before = torch.rand(2)
    draw()
    assert torch.equal(before, plain[0])
    assert torch.equal(torch.rand(2), plain[1])


def test_two_models_in_turn_under_one_seed_get_different_blocks():
    torch.manual_seed(5)
    torch.rand(2)  # the rest of a model
    first = draw()
    torch.rand(2)
    assert not torch.equal(draw(), first)


def test_no_other_device_is_seeded(monkeypatch):
    def refuse(*args):
        raise AssertionError("seeds every device")

    monkeypatch.setattr(torch, "manual_seed", refuse)
    monkeypatch.setattr(torch.random, "manual_seed", refuse)
    draw()


class Residual(nn.Conv2d):
    def __init__(self):
        super().__init__(8, 8, 1)


def test_positions_are_python_indices_and_stages_may_be_missing():
    stages = {"res2": nn.Sequential(Residual(), Residual(), Residual())}
    insert_blocks(stages, [[0, -1], [], [], []], BlockOptions(norm=""))
    assert [*stages["res2"]._modules] == ["0", "nl0", "1", "2", "nl2"]
    assert [*nonlocal_blocks(stages["res2"])] == ["nl0", "nl2"]
    with pytest.raises(ValueError, match="AFTER_BLOCKS=.*no res4, it ends at res2"):
        insert_blocks(stages, [[], [], [-2], []], BlockOptions(norm=""))
