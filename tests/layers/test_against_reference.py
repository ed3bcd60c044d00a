"""The operation and the block against loops written from the equations: values and gradients."""

import itertools

import pytest
import reference
import torch

from nonlocal_det.layers import KERNELS, PAIRWISE, SUBSAMPLE, NonLocal, NonLocalBlock

# odd sides, a side of 1, a position that pooling leaves over
SHAPES = {1: (5,), 2: (3, 4), 3: (2, 3, 3)}
CASES = [
    (pairwise, ndim, subsample, kernel)
    for pairwise, ndim, subsample in itertools.product(PAIRWISE, SHAPES, SUBSAMPLE)
    for kernel, (_, serves) in KERNELS.items()
    if pairwise in serves
]


def randomized(layer: torch.nn.Module) -> torch.nn.Module:
    """Weights that reach every branch: in float64, no zero output, biases that are not 0."""
    torch.manual_seed(0)
    for parameter in layer.double().parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return layer


@pytest.mark.parametrize(("pairwise", "ndim", "subsample", "kernel"), CASES)
def test_block_equals_the_equations(pairwise, ndim, subsample, kernel):
    block = randomized(
        NonLocalBlock(
            4,
            pairwise=pairwise,
            ndim=ndim,
            subsample=subsample,
            kernel=kernel,
            norm="",
            scale=False,
        )
    )
    x = torch.randn(2, 4, *SHAPES[ndim], dtype=torch.float64, requires_grad=True)
    z = block(x)
    weights = dict(block.named_parameters())
    expected = torch.stack([reference.block(weights, one, pairwise, subsample, 1.0) for one in x])
    torch.testing.assert_close(z, expected, rtol=1e-10, atol=1e-10)

    cotangent = torch.randn_like(z)
    inputs = [x, *weights.values()]
    actual = torch.autograd.grad(z, inputs, cotangent)
    wanted = torch.autograd.grad(expected, inputs, cotangent)
    for name, a, w in zip(["x", *weights], actual, wanted, strict=True):
        assert w.abs().max() > 0 or name == "phi.bias", f"the reference gives {name} no gradient"
        torch.testing.assert_close(a, w, rtol=1e-9, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("pairwise", ["gaussian", "embedded_gaussian", "dot_product"])
@pytest.mark.parametrize("kernel", ["dense", "auto"])
def test_scale_is_the_inverse_root_of_the_width_of_the_product(pairwise, kernel):
    layer = randomized(NonLocal(6, inner_channels=4, pairwise=pairwise, scale=True, kernel=kernel))
    x = torch.randn(1, 6, 3, 4, dtype=torch.float64)
    width = 6 if pairwise == "gaussian" else 4  # the gaussian product is over x itself
    weights = dict(layer.named_parameters())
    expected = reference.response(weights, x[0], pairwise, "after", width**-0.5)
    torch.testing.assert_close(layer(x)[0], expected)
    unscaled = reference.response(weights, x[0], pairwise, "after", 1.0)
    assert (expected - unscaled).abs().max() > 1e-3


@pytest.mark.parametrize("preset", ["paper", "authors_code"])
def test_presets_are_two_different_functions(preset):
    layer = randomized(NonLocal(8, inner_channels=4, preset=preset))
    x = torch.randn(1, 8, 4, 4, dtype=torch.float64)
    weights = dict(layer.named_parameters())
    paper = reference.response(weights, x[0], "embedded_gaussian", "after", 1.0)
    code = reference.response(weights, x[0], "embedded_gaussian", "before", 4**-0.5)
    torch.testing.assert_close(layer(x)[0], paper if preset == "paper" else code)
    assert (paper - code).abs().max() > 1e-3
