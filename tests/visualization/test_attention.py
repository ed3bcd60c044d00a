import pytest
import torch
from torch import nn

from nonlocal_det.layers import PAIRWISE, SUBSAMPLE, NonLocalBlock, affinity
from nonlocal_det.visualization import record_inputs


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


def test_recorder_keeps_inputs_and_lets_go():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), NonLocalBlock(8), nn.ReLU())
    x = torch.randn(1, 3, 4, 4)
    with record_inputs(model) as inputs:
        model(x)
    torch.testing.assert_close(inputs["1"], model[0](x))
    kept = inputs["1"]
    model(x * 2)
    assert inputs["1"] is kept


def test_recorder_lets_go_after_an_error():
    block = NonLocalBlock(8)

    def failing() -> None:
        with record_inputs(block):
            block(torch.randn(1, 7, 4, 4))  # of another width

    with pytest.raises(ValueError, match="expected"):
        failing()
    assert not block._forward_pre_hooks
