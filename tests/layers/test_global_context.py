"""The global context block against loops over its equation."""

import math

import pytest
import torch
from torch import nn

from nonlocal_det.layers import GlobalContextBlock, known_padding


def learnt(channels: int = 6, **options) -> GlobalContextBlock:
    block = GlobalContextBlock(channels, bottleneck_ratio=0.5, **options).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    return block


def by_hand(block: GlobalContextBlock, x: torch.Tensor) -> torch.Tensor:
    """z of one map (C, P), a position after the other."""
    w_k, b_k = block.w_k.weight.flatten(), block.w_k.bias
    scores = [math.exp((w_k @ x[:, j] + b_k).item()) for j in range(x.shape[1])]
    summary = sum(s / sum(scores) * x[:, j] for j, s in enumerate(scores))
    hidden = block.w_v1.weight @ summary + block.w_v1.bias
    hidden = (hidden - hidden.mean()) / torch.sqrt(hidden.var(unbiased=False) + block.norm.eps)
    hidden = (hidden * block.norm.weight + block.norm.bias).clamp(min=0)
    change = block.w_v2.weight @ hidden + block.w_v2.bias
    return torch.stack([x[:, i] + change for i in range(x.shape[1])], 1)


@pytest.mark.parametrize(("ndim", "shape"), [(1, (5,)), (2, (3, 4)), (3, (2, 2, 3))])
def test_block_follows_its_equation(ndim, shape):
    block = learnt(ndim=ndim)
    x = torch.randn(2, 6, *shape, dtype=torch.float64)
    for one, z in zip(x, block(x), strict=True):
        torch.testing.assert_close(z.flatten(1), by_hand(block, one.flatten(1)))


def test_attention_is_the_same_for_every_query_and_adds_up_to_one():
    block, x = learnt(), torch.randn(2, 6, 3, 4, dtype=torch.float64)
    weights = block.attention(x, (0, 1))
    assert weights.shape == (2, 3, 4)
    assert torch.equal(weights, block.attention(x, (2, 3)))
    torch.testing.assert_close(weights.flatten(1).sum(1), torch.ones(2, dtype=torch.float64))


def test_padding_does_not_count():
    block = learnt()
    x = torch.randn(1, 6, 3, 4, dtype=torch.float64)
    padded = nn.functional.pad(x, (0, 2, 0, 1), value=3.0)
    with known_padding(block, [(48, 64)], (64, 96)):
        masked = block(padded)
    torch.testing.assert_close(masked[..., :3, :4], block(x))
    assert (block(padded)[..., :3, :4] - block(x)).abs().max() > 1e-3


def test_identity_at_first_freezing_and_empty_batches():
    block, x = GlobalContextBlock(32), torch.rand(1, 32, 3, 4)
    assert torch.equal(block(x), x)
    with pytest.raises(ValueError, match="learnt nothing"):
        block.freeze()
    nn.init.ones_(block.w_v2.weight)
    assert not block.freeze().train().training
    assert not any(p.requires_grad for p in block.parameters())
    assert block(torch.zeros(0, 32, 3, 4)).shape == (0, 32, 3, 4)


def test_every_parameter_learns():
    block = learnt()
    block(torch.randn(1, 6, 3, 4, dtype=torch.float64)).square().mean().backward()
    learning = {name for name, p in block.named_parameters() if p.grad.abs().max() > 1e-12}
    # a softmax does not see what is added to all scores
    assert learning == {name for name, _ in block.named_parameters()} - {"w_k.bias"}


def test_wrong_dimensions_and_widths_are_refused():
    with pytest.raises(ValueError, match="ndim=4; expected 1, 2 or 3"):
        GlobalContextBlock(8, ndim=4)
    with pytest.raises(ValueError, match=r"bottleneck_ratio=0.0625 .* 8 channels"):
        GlobalContextBlock(8)
