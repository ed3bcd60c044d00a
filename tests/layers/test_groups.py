"""Attention in groups of a clip against loops: over space, over time, within windows of time."""

import itertools
from dataclasses import replace

import pytest
import reference
import torch

from nonlocal_det.layers import (
    KERNELS,
    SUBSAMPLE,
    BlockOptions,
    Groups,
    NonLocal,
    NonLocalBlock,
    Padding,
    set_padding,
)

CLIP = (5, 3, 4)  # T, H, W; a window of 2 leaves a step over
CASES = [("space", 0), ("time", 0), ("time", 2), ("spacetime", 2), ("spacetime", 9)]


def by_loops(weights, x, layer):
    """The response of each group of a clip x (C, T, H, W), by the equations."""
    over, window = layer.options.over, layer.options.window or x.shape[1]
    y = torch.zeros(layer.inner_channels, *x.shape[1:], dtype=x.dtype)

    def fill(*group):
        part = x[(slice(None), *group)]
        y[(slice(None), *group)] = reference.response(
            weights, part, layer.pairwise, layer.subsample, layer.scale_factor
        )

    steps = [slice(t, t + 1) for t in range(x.shape[1])]
    windows = [slice(t, t + window) for t in range(0, x.shape[1], window)]
    if over == "space":
        for step in steps:
            fill(step)
    elif over == "time":
        for part, h, w in itertools.product(windows, range(x.shape[2]), range(x.shape[3])):
            fill(part, slice(h, h + 1), slice(w, w + 1))
    else:
        for part in windows:
            fill(part)
    return y


@pytest.mark.parametrize(("over", "window"), CASES)
@pytest.mark.parametrize(
    ("pairwise", "kernel"),
    [(p, kernel) for kernel, (_, serves) in KERNELS.items() for p in serves],
)
def test_groups_equal_the_equations(over, window, pairwise, kernel):
    subsample = "none" if over == "time" else "after"
    options = BlockOptions(
        over=over, window=window, pairwise=pairwise, kernel=kernel, subsample=subsample
    )
    layer = NonLocal(4, options, ndim=3).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    x = torch.randn(2, 4, *CLIP, dtype=torch.float64, requires_grad=True)
    weights = dict(layer.named_parameters())
    y, expected = layer(x), torch.stack([by_loops(weights, clip, layer) for clip in x])
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)
    cotangent = torch.randn_like(y)
    ours, theirs = (torch.autograd.grad(z, x, cotangent)[0] for z in (y, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("subsample", SUBSAMPLE)
@pytest.mark.parametrize(("over", "window"), CASES)
def test_the_rows_of_a_position_are_those_it_responds_with(over, window, subsample):
    subsample = "none" if over == "time" else subsample
    layer = NonLocal(4, over=over, window=window, subsample=subsample, ndim=3).double()
    x = torch.randn(1, 4, *CLIP, dtype=torch.float64)
    y, (_, _, g, _) = layer(x), layer.project(x)
    for query in ((0, 0, 0), (1, 2, 3), (4, 1, 2)):
        weights = layer.attention(x, query)
        torch.testing.assert_close(weights.flatten(1) @ g[0], y[(slice(None), slice(None), *query)])
        seen = weights[0].sum(dim=(1, 2)) > 0
        steps = [t == query[0] for t in range(5)] if over == "space" else [True] * 5
        if window == 2:
            steps = [t // 2 == query[0] // 2 for t in range(5)]
        assert seen.tolist() == steps


@pytest.mark.parametrize(("over", "window"), CASES)
@pytest.mark.parametrize(
    ("pairwise", "kernel"),
    [(p, kernel) for kernel, (_, serves) in KERNELS.items() for p in serves],
)
def test_padding_is_no_key_of_any_group(over, window, pairwise, kernel):
    layer = NonLocal(4, over=over, window=window, pairwise=pairwise, kernel=kernel, ndim=3).double()
    short, long = (torch.randn(1, 4, *s, dtype=torch.float64) for s in ((3, 3, 2), (5, 4, 5)))
    batch = torch.full((2, 4, 5, 4, 5), 7.0, dtype=torch.float64)
    batch[0, :, :3, :3, :2], batch[1] = short[0], long[0]
    set_padding(layer, Padding([(3, 3, 2), (5, 4, 5)], (5, 4, 5)))
    y, (_, _, g, _) = layer(batch), layer.project(batch)
    weights = layer.attention(batch, (2, 2, 1)).flatten(1).unsqueeze(1)  # (N, 1, Q)
    set_padding(layer, None)
    torch.testing.assert_close((weights @ g)[:, 0], y[:, :, 2, 2, 1])
    assert torch.isfinite(y).all()
    torch.testing.assert_close(y[:1, :, :3, :3, :2], layer(short))
    torch.testing.assert_close(y[1:], layer(long))


@pytest.mark.parametrize("groups", [*(Groups(*case) for case in CASES), Groups(regions=(2, 2, 3))])
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("images", [0, 2])
def test_what_is_split_is_merged_again(groups, across, images):
    boxes, x = replace(groups.boxes(CLIP, CLIP)[0], across=across), torch.randn(images, 60, 3)
    assert torch.equal(boxes.merge(boxes.split(x)), x)


def test_a_grouped_block_is_the_identity_and_has_the_same_weights():
    x = torch.randn(2, 8, *CLIP)
    names = NonLocalBlock(8, ndim=3).state_dict().keys()
    for over, window in CASES:
        block = NonLocalBlock(8, over=over, window=window, ndim=3)
        assert torch.equal(block(x), x)
        assert block.state_dict().keys() == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"over": "frames"}, r"over='frames' \(MODEL.NONLOCAL.OVER\): expected one of 'spacetime'"),
        ({"over": "time", "subsample": "after"}, "subsample='after' .* one key a time step"),
        ({"over": "space", "window": 4}, "window=4: expected .* 0 where over='space'"),
        ({"window": -1}, "window=-1: expected time steps"),
        ({"over": "time", "operation": "global_context"}, "over='time' .* says nothing to"),
    ],
)
def test_groups_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BlockOptions(**options)


def test_a_picture_has_no_time():
    with pytest.raises(ValueError, match="over='time', window=0 with ndim=2: only clips"):
        NonLocal(8, over="time")
