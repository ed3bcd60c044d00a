"""Converted weights compute here what they compute where they come from."""

import pytest
import torch
from peer_blocks import REAL, Mmcv, MmcvContext, SlowFast, caffe2_block, shake

from nonlocal_det.checkpoint.convert import Choices, convert_state
from nonlocal_det.layers import GlobalContextBlock, NonLocalBlock

C = 8
SIZES = {1: (10,), 2: (6, 8), 3: (3, 4, 6)}


def ours(conversion, ndim=2, channels=C):
    """The block that the options describe, with the converted weights: every tensor must fit."""
    options = dict(conversion.options)
    options.pop("AFTER_BLOCKS", None)
    if options.pop("OPERATION") == "global_context":
        block = GlobalContextBlock(
            channels, bottleneck_ratio=options["BOTTLENECK_RATIO"], ndim=ndim
        )
    else:
        arguments = {key.lower(): value for key, value in options.items()}
        block = NonLocalBlock(channels, ndim=ndim, kernel="dense", **arguments)
    block.load_state_dict(conversion.state)
    return block.eval()


def check(theirs, source, choices=None, ndim=2, **how):
    """Both give the same map, and it is not the input."""
    choices = choices or Choices(ndim=ndim, **how)
    x = torch.randn(2, C, *SIZES[choices.ndim])
    conversion = convert_state(shake(theirs).state_dict(), source, choices)
    with torch.no_grad():
        found, expected = ours(conversion, choices.ndim)(x), theirs(x)
    assert (expected - x).abs().max() > 0.05
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    return conversion


def makers(source, formula):
    found = [pytest.param(formula, id="formula")]
    return found + ([pytest.param(REAL[source], id="real")] if source in REAL else [])


@pytest.mark.parametrize("make", makers("mmcv", Mmcv))
@pytest.mark.parametrize("mode", ["gaussian", "embedded_gaussian", "dot_product", "concatenation"])
@pytest.mark.parametrize(
    ("ndim", "pooled", "norm"), [(1, False, False), (2, True, True), (3, True, False)]
)
@torch.no_grad()
def test_mmcv(make, mode, ndim, pooled, norm):
    choice = "dot_product" if mode == "dot_product" else None  # the others are in the names
    theirs = make(C, mode, ndim=ndim, sub_sample=pooled, norm=norm)
    conversion = check(theirs, "mmcv", ndim=ndim, pairwise=choice)
    assert conversion.options["SUBSAMPLE"] == ("after" if pooled else "none")
    assert conversion.options["SCALE"] == (mode == "embedded_gaussian")


@pytest.mark.parametrize("make", makers("mmcv", Mmcv))
def test_mmcv_without_scale_and_with_its_batch_norm(make):
    check(make(C, "embedded_gaussian", use_scale=False), "mmcv", scale=False)
    check(make(C, "embedded_gaussian", norm=True), "mmcv", norm="BN")


@pytest.mark.parametrize("make", makers("gcnet", MmcvContext))
def test_gcnet(make):
    assert check(make(C, 0.5), "gcnet").options["BOTTLENECK_RATIO"] == 0.5


@pytest.mark.parametrize("function", ["softmax", "dot_product"])
@pytest.mark.parametrize(("pooled", "norm"), [(True, True), (False, True), (True, False)])
def test_slowfast(function, pooled, norm):
    check(
        SlowFast(C, function, pooled, norm),
        "slowfast",
        ndim=3,
        pairwise="dot_product" if function == "dot_product" else None,
        subsample=None if pooled else "none",
        norm="BN" if norm else "",
    )


def blobs(name="nonlocal_conv4_5", affine=False):
    """A block's tensors as Caffe2 names them, and what else its files have."""
    ci = C // 2
    shapes = {f"{layer}_w": (ci, C, 1, 1, 1) for layer in ("theta", "phi", "g")}
    shapes |= {f"{layer}_b": (ci,) for layer in ("theta", "phi", "g")}
    shapes |= {"out_w": (C, ci, 1, 1, 1), "out_b": (C,), "bn_s": (C,), "bn_b": (C,)}
    if not affine:
        shapes |= {"bn_rm": (C,), "bn_riv": (C,)}
    made = {f"{name}_{end}": torch.randn(shape) * 0.3 for end, shape in shapes.items()}
    if not affine:
        made[f"{name}_bn_riv"] = torch.rand(C) + 0.5
    return made


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("ndim", [2, 3])
def test_caffe2(affine, softmax, ndim):
    state = blobs(affine=affine)
    choices = Choices(
        ndim=ndim,
        pairwise=None if softmax else "dot_product",
        places={"nonlocal_conv4_5": ""},
    )
    x = torch.randn(2, C, 1, 4, 6) if ndim == 2 else torch.randn(2, C, *SIZES[3])
    expected = caffe2_block(state, "nonlocal_conv4_5", x, softmax)
    conversion = convert_state(state, "caffe2", choices)
    assert conversion.options["SUBSAMPLE"] == "before"
    with torch.no_grad():
        found = ours(conversion, ndim)(x[:, :, 0] if ndim == 2 else x)
    torch.testing.assert_close(found, expected[:, :, 0] if ndim == 2 else expected)


def test_a_batch_norm_kept_trains_as_theirs():
    theirs = shake(Mmcv(C, "embedded_gaussian", norm=True))
    block = ours(convert_state(theirs.state_dict(), "mmcv", Choices(norm="BN")))
    x = torch.randn(2, C, 6, 8)
    torch.testing.assert_close(block.train()(x), theirs.train()(x), rtol=1e-4, atol=1e-5)
