import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from nonlocal_det.layers import (
    KERNELS,
    NORMS,
    PAIRWISE,
    PRESETS,
    BlockOptions,
    NonLocal,
    NonLocalBlock,
)

SHAPES = {1: (6,), 2: (5, 3), 3: (2, 3, 5)}
FORMS = [(p, k) for p in PAIRWISE for k, (_, serves) in KERNELS.items() if p in serves]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("preset", PRESETS)
def test_block_is_identity_at_init_and_not_after_one_step(norm, ndim, preset):
    block = NonLocalBlock(32, norm=norm, ndim=ndim, preset=preset)
    x = torch.randn(4, 32, *SHAPES[ndim])
    assert torch.equal(block(x), x)
    assert torch.equal(block.eval()(x), x)
    optimizer = torch.optim.SGD(block.train().parameters(), lr=0.1)
    (block(x) * torch.randn_like(x)).sum().backward()
    optimizer.step()
    assert not torch.equal(block(x), x)
    block.reset_parameters()
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("norm", NORMS)
def test_two_steps_move_every_parameter(norm):
    block = NonLocalBlock(32, norm=norm, pairwise="concatenation")
    before = copy.deepcopy(block.state_dict())
    optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
    for _ in range(2):  # the first moves only what makes the output 0
        optimizer.zero_grad()
        (block(torch.randn(4, 32, 5, 4)) ** 3).sum().backward()
        optimizer.step()
    still = [n for n, p in block.named_parameters() if torch.equal(p, before[n])]
    assert still == []


def test_parameter_count_is_the_hand_derived_one():
    # theta, phi, g: 1024 * 512 + 512 each; w_z: 512 * 1024 + 1024
    count = sum(p.numel() for p in NonLocalBlock(1024, norm="").parameters())
    assert count == 3 * (1024 * 512 + 512) + 512 * 1024 + 1024 == 2_099_712
    # with a norm, its scale and shift take the place of w_z's bias
    count = sum(p.numel() for p in NonLocalBlock(1024, norm="BN").parameters())
    assert count == 2_099_712 + 1024
    gaussian = sum(p.numel() for p in NonLocalBlock(8, pairwise="gaussian", norm="").parameters())
    assert gaussian == 8 * 4 + 4 + 4 * 8 + 8
    extra = sum(p.numel() for p in NonLocalBlock(8, pairwise="concatenation", norm="").parameters())
    assert extra - (3 * (8 * 4 + 4) + 4 * 8 + 8) == 2 * 4  # w_f


def test_state_dict_has_the_symbols_of_the_paper():
    names = {name.split(".")[0] for name in NonLocalBlock(8, norm="GN").state_dict()}
    assert names == {"theta", "phi", "g", "w_z", "norm"}
    assert "w_f" in NonLocalBlock(8, pairwise="concatenation").state_dict()


@pytest.mark.parametrize("preset", PRESETS)
def test_init_is_he_or_normal_by_preset(preset):
    block = NonLocalBlock(512, preset=preset, pairwise="embedded_gaussian", scale=False)
    expected = 0.01 if preset == "authors_code" else (2 / 512) ** 0.5
    for layer in (block.theta, block.phi, block.g):
        assert abs(layer.weight.std().item() / expected - 1) < 0.02
        assert not layer.bias.any()


def test_a_preset_is_the_text_with_a_scale_where_there_is_a_product():
    text, scaled = BlockOptions(), BlockOptions(preset="paper_scaled")
    assert (text.scale, scaled.scale) == (False, True)
    assert replace(scaled, preset="paper", scale=False) == text
    assert not BlockOptions(preset="paper_scaled", pairwise="concatenation").scale
    assert not BlockOptions(preset="paper_scaled", scale=False).scale


@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_with_large_features_stays_finite(pairwise, kernel, dtype):
    block = NonLocalBlock(1024, pairwise=pairwise, kernel=kernel, norm="")
    x = (torch.randn(1, 1024, 6, 5).abs() * 300).requires_grad_()
    for trained in (False, True):
        if trained:
            nn.init.normal_(block.w_z.weight, std=1e-4)
        with torch.autocast("cpu", dtype=dtype):
            z = block(x)
            loss = z.float().mean()
        assert torch.isfinite(z).all()
        assert trained or torch.equal(z, x)
        grads = torch.autograd.grad(loss, [x, *block.parameters()])
        assert all(torch.isfinite(grad).all() for grad in grads)
        assert any(grad.any() for grad in grads[1:])


@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_agrees_with_float32(pairwise, kernel, dtype):
    layer = NonLocal(32, pairwise=pairwise, kernel=kernel)
    x = torch.randn(2, 32, 5, 4)
    with torch.autocast("cpu", dtype=dtype):
        half = layer(x)
    # three factors, each rounded to 2^-8 (bfloat16): the response as a whole is off by about 1 %
    assert (half.float() - layer(x)).norm() < 0.02 * layer(x).norm()


@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("subsample", ["after", "before", "none"])
def test_empty_batch_and_single_position(pairwise, kernel, ndim, subsample):
    block = NonLocalBlock(
        8, pairwise=pairwise, kernel=kernel, ndim=ndim, norm="", subsample=subsample
    )
    nn.init.normal_(block.w_z.weight)
    empty = torch.zeros(0, 8, *SHAPES[ndim], requires_grad=True)
    assert block(empty).shape == empty.shape
    block(empty).sum().backward()
    x = torch.randn(2, 8, *([1] * ndim))
    theta, phi, g, _ = block.project(x)
    if pairwise in ("gaussian", "embedded_gaussian"):  # one key: y is that key's g
        torch.testing.assert_close(NonLocal.forward(block, x).flatten(1), g.flatten(1))
    assert theta.shape[1] == phi.shape[1] == g.shape[1] == 1


@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
def test_memory_layout_does_not_matter(pairwise, kernel):
    block = NonLocalBlock(16, pairwise=pairwise, kernel=kernel, norm="")
    nn.init.normal_(block.w_z.weight)
    x = torch.randn(2, 16, 7, 5)
    expected = block(x)
    torch.testing.assert_close(block(x.to(memory_format=torch.channels_last)), expected)
    strided = torch.randn(2, 16, 7, 10)[..., ::2]
    assert not strided.is_contiguous()
    torch.testing.assert_close(block(strided), block(strided.contiguous()))


def test_block_leaves_its_input_alone():
    x = torch.randn(1, 8, 4, 4)
    block = NonLocalBlock(8, norm="")
    nn.init.normal_(block.w_z.weight)
    kept = x.clone()
    block(x)
    assert torch.equal(x, kept)


def test_a_trained_block_freezes_and_a_dead_one_refuses():
    block = NonLocalBlock(8, norm="BN")
    with pytest.raises(ValueError, match="learnt nothing"):
        block.freeze()
    nn.init.ones_(block.norm.weight)
    block.freeze().train()
    mean = block.norm.running_mean.clone()
    block(torch.randn(2, 8, 4, 4))
    assert torch.equal(block.norm.running_mean, mean)
    assert not any(p.requires_grad for p in block.parameters())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "papers"}, ["papers", "'paper'", "'authors_code'"]),
        ({"pairwise": "embedded"}, ["embedded", "'embedded_gaussian'", "'concatenation'"]),
        ({"kernel": "flash"}, ["flash", "'auto'", "'dense'", "'sdpa'"]),
        ({"kernel": "sdpa", "pairwise": "dot_product"}, ["sdpa", "dot_product", "dense"]),
        ({"subsample": "between"}, ["between", "'after'", "'before'", "'none'"]),
        ({"init": "xavier"}, ["xavier", "'he'", "'normal'"]),
        ({"norm": "LN"}, ["LN", "'BN'", "'GN'"]),
        ({"norm": "FrozenBN"}, ["FrozenBN", "identity for ever", "use ''"]),
        ({"ndim": 4}, ["ndim=4", "1, 2 or 3"]),
        ({"inner_channels": 0}, ["inner_channels=0", "inner width of 0"]),
        ({"bottleneck_ratio": 0.1}, ["bottleneck_ratio=0.1", "8 channels", "inner width of 0"]),
        ({"pairwise": "concatenation", "scale": True}, ["scale=True", "set it to False"]),
    ],
)
def test_bad_options_are_refused_by_name(options, words):
    with pytest.raises(ValueError) as error:
        NonLocalBlock(8, **options)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize("shape", [(1, 8, 4), (1, 7, 4, 4), (1, 8, 2, 4, 4)])
def test_input_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(N, 8, \*S\)"):
        NonLocalBlock(8)(torch.zeros(shape))


def test_a_misspelt_or_doubled_option_is_a_type_error():
    with pytest.raises(TypeError, match="pairwize"):
        NonLocalBlock(8, pairwize="gaussian")
    with pytest.raises(TypeError, match="options or pairwise"):
        NonLocalBlock(8, BlockOptions(), pairwise="gaussian")


def test_options_build_the_block_that_their_keywords_build():
    keywords = {"pairwise": "dot_product", "norm": "GN", "bottleneck_ratio": 0.25}
    torch.manual_seed(1)
    ours = BlockOptions(**keywords).build(16, ndim=3)
    torch.manual_seed(1)
    theirs = NonLocalBlock(16, ndim=3, **keywords)
    assert ours.options == theirs.options
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name])
