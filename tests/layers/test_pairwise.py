import pytest
import torch

from nonlocal_det.layers import PAIRWISE, affinity


@pytest.mark.parametrize("pairwise", ["gaussian", "embedded_gaussian"])
def test_rows_of_the_softmax_sum_to_one(pairwise):
    weights = affinity(torch.randn(2, 5, 4), torch.randn(2, 7, 4), pairwise=pairwise)
    assert weights.shape == (2, 5, 7)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5))


@pytest.mark.parametrize("pairwise", ["dot_product", "concatenation"])
@pytest.mark.parametrize("repeats", [2, 3])
def test_unnormalized_forms_divide_by_the_number_of_keys(pairwise, repeats):
    theta, phi, w_f = torch.rand(1, 5, 4), torch.rand(1, 3, 4), torch.rand(8)
    once = affinity(theta, phi, pairwise=pairwise, w_f=w_f)
    # every key several times: each weighs as many times less, so that the response stays the same
    often = affinity(theta, phi.repeat(1, repeats, 1), pairwise=pairwise, w_f=w_f)
    torch.testing.assert_close(often[..., :3] * repeats, once)
    assert once.min() > 0


def test_concatenation_takes_theta_first_and_cuts_off_negative_pairs():
    theta, phi = torch.tensor([[[2.0]]]), torch.tensor([[[3.0], [-9.0]]])
    weights = affinity(theta, phi, pairwise="concatenation", w_f=torch.tensor([10.0, 1.0]))
    # ReLU(10 * 2 + 3) / 2, ReLU(10 * 2 - 9) / 2
    torch.testing.assert_close(weights, torch.tensor([[[11.5, 5.5]]]))
    weights = affinity(theta, phi, pairwise="concatenation", w_f=torch.tensor([1.0, 1.0]))
    torch.testing.assert_close(weights, torch.tensor([[[2.5, 0.0]]]))


@pytest.mark.parametrize("pairwise", PAIRWISE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_affinity_of_half_precision_is_in_float32(pairwise, dtype):
    theta, phi, w_f = torch.randn(1, 6, 8), torch.randn(1, 6, 8), torch.randn(16)
    theta, phi = theta.to(dtype), phi.to(dtype)
    half = affinity(theta, phi, pairwise=pairwise, w_f=w_f)
    full = affinity(theta.float(), phi.float(), pairwise=pairwise, w_f=w_f)
    assert half.dtype == torch.float32
    # but for the products, which have the half precision's digits
    rounding = 0 if pairwise == "concatenation" else 4 * torch.finfo(dtype).eps
    torch.testing.assert_close(half, full, rtol=rounding, atol=rounding * float(full.abs().max()))


def test_concatenation_without_its_weights_is_refused():
    with pytest.raises(ValueError, match="needs w_f"):
        affinity(torch.rand(1, 2, 3), torch.rand(1, 2, 3), pairwise="concatenation")
