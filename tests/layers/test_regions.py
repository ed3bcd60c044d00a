"""Attention within regions and then across them, against loops: not the paper's function."""

import pytest
import reference
import torch

from nonlocal_det.layers import (
    KERNELS,
    PAIRWISE,
    SUBSAMPLE,
    BlockOptions,
    NonLocal,
    NonLocalBlock,
    known_padding,
)

# odd sides, regions that do not divide them, a last region of padding only
MAPS = {1: ((7,), (3,)), 2: ((5, 4), (2, 3)), 3: ((2, 3, 5), (2, 1, 2))}
KERNEL_CASES = [(p, 2, "after", k) for k, (_, serves) in KERNELS.items() for p in serves]
CASES = [(p, d, s, "auto") for p in PAIRWISE for d in MAPS for s in SUBSAMPLE] + KERNEL_CASES


def randomized(layer: torch.nn.Module) -> torch.nn.Module:
    for parameter in layer.double().parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return layer


@pytest.mark.parametrize(("pairwise", "ndim", "subsample", "kernel"), CASES)
def test_regions_equal_the_equations(pairwise, ndim, subsample, kernel):
    shape, regions = MAPS[ndim]
    options = {"pairwise": pairwise, "kernel": kernel, "subsample": subsample}
    layer = randomized(NonLocal(4, ndim=ndim, regions=regions, scale=False, **options))
    x = torch.randn(2, 4, *shape, dtype=torch.float64, requires_grad=True)
    y, weights = layer(x), dict(layer.named_parameters())
    expected = torch.stack(
        [
            reference.response_in_regions(weights, one, pairwise, subsample, 1.0, regions)
            for one in x
        ]
    )
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)
    cotangent, inputs = torch.randn_like(y), [x, *weights.values()]
    actual = torch.autograd.grad(y, inputs, cotangent)
    for a, w in zip(actual, torch.autograd.grad(expected, inputs, cotangent), strict=True):
        torch.testing.assert_close(a, w, rtol=1e-9, atol=1e-9)
    for index in (0, x[0, 0].numel() - 1):  # the rows are what a position responds with
        query = tuple(int(at) for at in torch.unravel_index(torch.tensor(index), shape))
        row, g = layer.attention(x, query).flatten(1).unsqueeze(1), layer.project(x)[2]
        torch.testing.assert_close((row @ g)[:, 0], y[(slice(None), slice(None), *query)])


@pytest.mark.parametrize("ndim", MAPS)
def test_one_region_is_the_plain_block_and_the_weights_fit_both(ndim):
    shape = MAPS[ndim][0]
    plain, one, several = (
        NonLocalBlock(8, ndim=ndim, regions=r) for r in ((), (1,) * ndim, MAPS[ndim][1])
    )
    torch.nn.init.normal_(plain.norm.weight)
    for block in (one, several):
        assert torch.equal(block(torch.ones(2, 8, *shape)), torch.ones(2, 8, *shape))
        block.load_state_dict(plain.state_dict())
    x = torch.randn(2, 8, *shape)
    torch.testing.assert_close(one(x), plain(x))
    assert not torch.allclose(several(x), plain(x))


@pytest.mark.parametrize("pairwise", ["gaussian", "embedded_gaussian", "dot_product"])
def test_every_position_reaches_every_other(pairwise):
    layer = randomized(NonLocal(4, pairwise=pairwise, subsample="none", regions=(2, 3)))
    x = torch.randn(1, 4, 5, 7, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda one: layer(one)[0].flatten(1).sum(0), x)
    assert (jacobian.abs().sum((1, 2)) > 0).all()  # (P, N, C, H, W) -> (P, H, W)


@pytest.mark.parametrize(("pairwise", "kernel"), [case[::3] for case in KERNEL_CASES])
@pytest.mark.parametrize("subsample", SUBSAMPLE)
def test_what_is_in_the_padding_does_not_matter(pairwise, kernel, subsample):
    options = {"pairwise": pairwise, "kernel": kernel, "subsample": subsample}
    layer = randomized(NonLocal(4, regions=(2, 2), **options))
    x, results = torch.randn(2, 4, 7, 6, dtype=torch.float64), []
    for value in (0.0, 50.0):
        x[0, :, 3:], x[0, :, :, 2:] = value, value
        with known_padding(layer, [(48, 32), (112, 96)], (112, 96)):  # stride 16
            results.append(layer(x))
        with known_padding(layer, [(48, 32), (112, 96)], (112, 96)):
            row = layer.attention(x, (2, 1)).flatten(1).unsqueeze(1)
            torch.testing.assert_close((row @ layer.project(x)[2])[:, 0], results[-1][:, :, 2, 1])
            if subsample == "none" and pairwise != "concatenation":  # whose ReLU may be closed
                assert (row[0] != 0).sum() == 3 * 2  # every real key
    first, second = results
    assert torch.isfinite(first).all()
    torch.testing.assert_close(first[0, :, :3, :2], second[0, :, :3, :2])
    torch.testing.assert_close(first[1], second[1])


@pytest.mark.parametrize("padded", [False, True])
def test_regions_compile_to_one_graph(padded):
    torch._dynamo.reset()
    layer = randomized(NonLocal(4, regions=(2, 3)))
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x, sizes = torch.randn(2, 4, 7, 6, dtype=torch.float64), [(48, 32), (112, 96)]
    with known_padding(layer, sizes if padded else [(112, 96)] * 2, (112, 96)):
        torch.testing.assert_close(compiled(x), layer(x))
    torch._dynamo.reset()


def test_regions_need_fewer_multiply_adds():
    from torch.utils.flop_counter import FlopCounterMode

    counts = []
    for regions in ((), (4, 4)):
        layer = NonLocal(8, kernel="dense", subsample="none", regions=regions)
        with FlopCounterMode(display=False) as counter:
            layer(torch.randn(1, 8, 16, 16))
        counts.append(counter.get_total_flops())
    p, ci, groups = 256, 4, 16
    assert counts[0] - counts[1] == 2 * 2 * ci * p * (p - (p // groups + groups))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regions": (2, 0)}, r"regions=\(2, 0\) \(MODEL.NONLOCAL.REGIONS\): expected a whole"),
        ({"regions": (2, 2), "over": "space"}, "leave over and window out"),
        ({"regions": (2, 2), "operation": "per_position"}, "has no regions"),
    ],
)
def test_regions_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BlockOptions(**options)


def test_regions_that_do_not_fit_the_map_are_refused():
    with pytest.raises(ValueError, match=r"regions=\[2, 2\] .* with ndim=3"):
        NonLocal(8, regions=(2, 2), ndim=3)
    with pytest.raises(ValueError, match=r"regions=\[2, 9\] .* map of size \[5, 7\]"):
        NonLocal(8, regions=(2, 9))(torch.zeros(1, 8, 5, 7))
