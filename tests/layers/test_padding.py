import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from nonlocal_det.layers import KERNELS, PAIRWISE, NonLocalBlock, Padding, known_padding

FORMS = [(p, k) for p in PAIRWISE for k, (_, serves) in KERNELS.items() if p in serves]


def trained(**options) -> NonLocalBlock:
    block = NonLocalBlock(8, norm="", **options).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return block


def batch(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Two maps in one batch, the smaller padded by something that is not 0."""
    height, width = (max(x, y) for x, y in zip(a.shape[2:], b.shape[2:], strict=True))
    out = torch.full((2, a.shape[1], height, width), 7.0, dtype=a.dtype)
    for k, x in enumerate((a, b)):
        out[k, :, : x.shape[2], : x.shape[3]] = x
    return out


@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
@pytest.mark.parametrize("subsample", ["after", "before", "none"])
def test_an_image_alone_and_in_a_padded_batch_agree(pairwise, kernel, subsample):
    block = trained(pairwise=pairwise, kernel=kernel, subsample=subsample)
    small, large = (torch.randn(1, 8, *s, dtype=torch.float64) for s in ((3, 5), (6, 7)))
    alone = block(small)
    together = batch(small, large)
    with known_padding(block, [(48, 80), (96, 112)], (96, 112)):  # stride 16
        masked = block(together)
    torch.testing.assert_close(masked[:1, :, :3, :5], alone)
    torch.testing.assert_close(masked[1:], block(large))
    assert (block(together)[:1, :, :3, :5] - alone).abs().max() > 1e-3
    assert block.padding_of_batch is None


def test_a_cell_counts_when_any_of_its_pixels_is_real():
    x = torch.zeros(3, 1, 4, 4)
    mask = Padding([(64, 64), (33, 17), (32, 16)], (64, 64)).mask(x)
    assert [(m[0].any(1).sum().item(), m[0].any(0).sum().item()) for m in mask] == [
        (4, 4), (3, 2), (2, 1),
    ]  # fmt: skip


def test_no_padding_costs_nothing():
    x = torch.zeros(2, 1, 4, 4)
    assert Padding([(64, 64), (50, 49)], (64, 64)).mask(x) is None  # every cell sees a real pixel
    assert Padding([(64, 64), (48, 64)], (64, 64)).mask(x) is not None


def test_padding_of_another_batch_is_refused():
    with pytest.raises(ValueError, match="padding is that of 1 images"):
        Padding([(64, 64)], (64, 64)).mask(torch.zeros(2, 1, 4, 4))


def test_padding_is_forgotten_after_an_error():
    block = NonLocalBlock(8)
    with pytest.raises(ValueError, match="expected"), known_padding(block, [(4, 4)], (4, 4)):
        block(torch.zeros(1, 7, 4, 4))
    assert block.padding_of_batch is None


def test_the_blocks_of_a_stage_share_one_mask():
    padding = Padding([(16, 32), (32, 20)], (32, 32))
    first = padding.mask(torch.zeros(2, 8, 4, 4))
    assert padding.mask(torch.zeros(2, 64, 4, 4)) is first
    assert first[:, 0].sum((1, 2)).tolist() == [2 * 4, 4 * 3]  # ceil(16 / 8) x 4, 4 x ceil(20 / 8)
    assert padding.mask(torch.zeros(2, 8, 2, 2)).shape == (2, 1, 2, 2)


SIZES = [
    [(30, 50), (64, 80)], [(48, 90), (41, 96)], [(33, 97), (70, 100)], [(100, 140), (90, 60)],
    [(110, 130), (128, 80)], [(75, 91), (60, 131)],
]  # fmt: skip
"""Of six batches; with maps of odd and even sides at stride 16."""


@pytest.mark.parametrize(
    ("pairwise", "subsample", "most"),
    [
        ("embedded_gaussian", "none", 2),  # one size, and all others
        ("concatenation", "none", 2),
        ("dot_product", "after", 5),  # one size, and each parity of the two sides
    ],
)
def test_a_compiled_block_takes_every_image_size(pairwise, subsample, most):
    torch._dynamo.reset()
    block = trained(pairwise=pairwise, subsample=subsample)
    graphs = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(block, backend=graphs, fullgraph=True)
    for sizes in SIZES:
        height, width = (-(-max(sides) // 16) * 16 for sides in zip(*sizes, strict=True))
        x = torch.randn(2, 8, height // 16, width // 16, dtype=torch.float64)
        with known_padding(block, sizes, (height, width)):
            torch.testing.assert_close(compiled(x), block(x))
    assert graphs.frame_count <= most
    torch._dynamo.reset()


def test_a_compiled_block_without_padding_in_its_batch():
    block = trained()
    compiled = torch.compile(block, backend="aot_eager", fullgraph=True)
    x = torch.randn(2, 8, 5, 7, dtype=torch.float64)
    with known_padding(block, [(80, 112), (80, 112)], (80, 112)):
        torch.testing.assert_close(compiled(x), block(x))
    torch._dynamo.reset()
