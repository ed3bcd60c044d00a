import pytest
import torch

from nonlocal_det.layers import PAIRWISE, SUBSAMPLE, NonLocalBlock, affinity


@pytest.mark.parametrize("pairwise", PAIRWISE)
@pytest.mark.parametrize("subsample", SUBSAMPLE)
def test_attention_is_one_row_of_the_affinity(pairwise, subsample):
    block = NonLocalBlock(8, pairwise=pairwise, subsample=subsample)
    x = torch.randn(2, 8, 5, 6)
    theta, phi, _, _ = block.project(x)
    rows = affinity(theta, phi, pairwise=pairwise, w_f=block.w_f)
    weights = block.attention(x, (3, 1))
    assert weights.shape == ((2, 5, 6) if subsample == "none" else (2, 3, 3))
    torch.testing.assert_close(weights.flatten(1), rows[:, 3 * 6 + 1])
