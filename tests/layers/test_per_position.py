"""The control has the non-local block's cost and names, and no reach at all."""

import pytest
import torch
from torch import nn

from nonlocal_det.analysis import layer_cost
from nonlocal_det.layers import PAIRWISE, NonLocalBlock, PerPositionBlock

SHAPES = {1: (9,), 2: (5, 7), 3: (2, 5, 3)}


def learnt(block: nn.Module) -> nn.Module:
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.4)
    return block


@pytest.mark.parametrize("pairwise", PAIRWISE)
@pytest.mark.parametrize("subsample", ["after", "none"])
@pytest.mark.parametrize("norm", ["", "BN"])
def test_parameters_and_multiply_adds_are_the_non_local_blocks(pairwise, subsample, norm):
    options = {"pairwise": pairwise, "subsample": subsample, "norm": norm}
    # 35 x 41 positions: more keys than the bank has, and an odd map
    ours, theirs = (
        layer_cost(lambda kind=kind: kind(32, **options), 2, 32, 35, 41)
        for kind in (PerPositionBlock, NonLocalBlock)
    )
    assert ours.parameters == theirs.parameters > 0
    assert ours.multiply_adds == theirs.multiply_adds > 0
    ours, theirs = PerPositionBlock(8, **options), NonLocalBlock(8, **options)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]


def test_first_weights_are_the_non_local_blocks_under_one_seed():
    states = []
    for kind in (PerPositionBlock, NonLocalBlock):
        torch.manual_seed(5)
        states.append(kind(8).state_dict())
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())


def seen_by(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Which positions (N, P) the output of position 4 of the second map depends on."""
    z = learnt(block)(x).flatten(2)
    (grad,) = torch.autograd.grad(z[1, :, 4].square().sum(), x)
    return grad.flatten(2).abs().sum(1) > 0


@pytest.mark.parametrize("pairwise", PAIRWISE)
@pytest.mark.parametrize("subsample", ["after", "none"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_position_depends_on_itself_alone(pairwise, subsample, ndim):
    x = torch.randn(2, 4, *SHAPES[ndim], requires_grad=True)
    options = {"subsample": subsample, "norm": "", "ndim": ndim}
    seen = seen_by(PerPositionBlock(4, pairwise=pairwise, **options), x)
    expected = torch.zeros_like(seen)
    expected[1, 4] = True
    assert torch.equal(seen, expected)
    assert seen_by(NonLocalBlock(4, **options), x).sum() > 1


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_every_parameter_learns(pairwise):
    block = learnt(PerPositionBlock(8, pairwise=pairwise, norm=""))
    block(torch.randn(1, 8, 5, 6)).square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in block.parameters())
    assert {name for name, _ in block.named_buffers()} == {"keys", "values"}


def test_response_follows_its_equation():
    block = learnt(PerPositionBlock(6, subsample="after", norm=""))
    x = torch.randn(1, 6, 3, 5)
    z = block(x)
    keys, values = block.keys[:6], block.values[:6]  # ceil(3 / 2) * ceil(5 / 2)
    for row, column in ((0, 0), (2, 4)):
        here = x[0, :, row, column]

        def project(layer, v):
            return layer.weight.flatten(1) @ v + layer.bias

        theta, phi, g = (project(layer, here) for layer in (block.theta, block.phi, block.g))
        y = torch.softmax(keys @ theta, 0) @ values + torch.sigmoid(phi) * g
        torch.testing.assert_close(z[0, :, row, column], project(block.w_z, y) + here)


def test_identity_at_first_empty_batches_and_half_precision():
    x = torch.rand(1, 8, 5, 7)
    assert torch.equal(PerPositionBlock(8)(x), x)
    block = learnt(PerPositionBlock(8, norm=""))
    assert block(torch.zeros(0, 8, 5, 7)).shape == (0, 8, 5, 7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = block(x)
    torch.testing.assert_close(half.float(), block(x), rtol=0.05, atol=0.05)


def test_pooling_before_and_attention_are_refused():
    with pytest.raises(ValueError, match="subsample='before'.*'after' or 'none'"):
        PerPositionBlock(8, preset="authors_code")
    with pytest.raises(ValueError, match="OPERATION per_position"):
        PerPositionBlock(8).attention(torch.zeros(1, 8, 4, 4), (0, 0))


@pytest.mark.parametrize(
    ("over", "window", "subsample"),
    [("space", 0, "after"), ("time", 0, "none"), ("spacetime", 2, "none"), ("time", 2, "none")],
)
def test_groups_cost_the_same_and_bring_no_reach(over, window, subsample):
    options = {"over": over, "window": window, "subsample": subsample, "ndim": 3}
    # 5 time steps: a window of 2 leaves a step over
    ours, theirs = (
        layer_cost(lambda kind=kind: kind(32, **options), 2, 32, 5, 7, 6)
        for kind in (PerPositionBlock, NonLocalBlock)
    )
    assert ours.parameters == theirs.parameters > 0
    assert ours.multiply_adds == theirs.multiply_adds > 0
    x = torch.randn(2, 4, *SHAPES[3], requires_grad=True)
    seen = seen_by(PerPositionBlock(4, **options, norm=""), x)
    expected = torch.zeros_like(seen)
    expected[1, 4] = True
    assert torch.equal(seen, expected)
