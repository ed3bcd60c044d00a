"""Sets of points: no order, sets of different sizes in one batch, and the documented example."""

import re
from pathlib import Path

import pytest
import torch

from nonlocal_det.layers import PAIRWISE, NonLocalBlock, known_padding

DOCUMENT = Path(__file__).parents[2] / "docs" / "points.md"


def block_of_points(pairwise: str) -> NonLocalBlock:
    block = NonLocalBlock(8, ndim=1, subsample="none", norm="", pairwise=pairwise).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return block


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_permuting_the_points_permutes_the_result(pairwise):
    block, x = block_of_points(pairwise), torch.randn(2, 8, 9, dtype=torch.float64)
    order = torch.randperm(9)
    torch.testing.assert_close(block(x[:, :, order]), block(x)[:, :, order])


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_sets_of_different_sizes_are_what_each_is_alone(pairwise):
    block, sizes = block_of_points(pairwise), (9, 4, 1, 0)
    x = torch.randn(4, 8, 9, dtype=torch.float64, requires_grad=True)
    with known_padding(block, [(size,) for size in sizes], (9,)):
        z = block(x)
    for one, given, size in zip(z, x, sizes, strict=True):
        if size:
            torch.testing.assert_close(one[:, :size], block(given[None, :, :size])[0])
    real = torch.arange(9) < torch.tensor(sizes).view(-1, 1, 1)
    (grad,) = torch.autograd.grad((z * real).sum(), x)
    assert torch.isfinite(grad).all()
    assert not (grad * ~real).any()


@pytest.mark.parametrize("pairwise", PAIRWISE)
@pytest.mark.parametrize("shape", [(0, 8, 5), (2, 8, 0), (2, 8, 1)])
def test_no_set_no_point_and_one_point(pairwise, shape):
    assert block_of_points(pairwise)(torch.randn(shape, dtype=torch.float64)).shape == shape


def test_the_documented_network_learns_with_and_without_a_block():
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf8"), re.DOTALL)
    names: dict[str, float] = {}
    exec(example, names)
    assert min(names["without"], names["with_block"]) > 0.95
