"""Bytes that autograd keeps, against sums by hand of what each backward pass needs."""

from importlib import import_module

import pytest
from torch import nn

from nonlocal_det.analysis.module_costs import layer_cost
from nonlocal_det.layers import NonLocalBlock

C, CI, H, W = 8, 4, 6, 10
P, FLOAT = H * W, 4


def test_a_tensor_that_two_layers_keep_counts_once():
    def build():
        return nn.Sequential(nn.Conv2d(C, C, 1), nn.ReLU(), nn.Conv2d(C, CI, 1))

    # the first convolution's input; the ReLU's output, which is the second one's input
    assert layer_cost(build, 1, C, H, W).saved_bytes == 2 * C * P * FLOAT


def block(**options):
    return lambda: NonLocalBlock(
        C, inner_channels=CI, subsample="none", norm="", scale=False, **options
    )


@pytest.mark.parametrize(
    ("pairwise", "kernel", "maps"),
    [
        # x, theta, phi, g and y; and the softmax, P numbers a position
        ("embedded_gaussian", "dense", C + 4 * CI + P),
        # ... but nothing of a large softmax
        ("embedded_gaussian", "chunked", C + 4 * CI),
        # x is theta and phi
        ("gaussian", "chunked", C + 2 * CI),
    ],
)
def test_what_a_block_keeps(pairwise, kernel, maps, monkeypatch):
    blocks = import_module("nonlocal_det.layers.kernels.chunked")
    monkeypatch.setattr(blocks, "KEEP_BYTES", 0)
    monkeypatch.setattr(blocks, "CHUNK_BYTES", 7 * P * FLOAT)
    cost = layer_cost(block(pairwise=pairwise, kernel=kernel), 1, C, H, W)
    assert cost.saved_bytes == maps * P * FLOAT


def test_of_what_is_pooled_indices_of_4_bytes_are_kept():
    def build():
        return NonLocalBlock(C, inner_channels=CI, kernel="dense", subsample="after", norm="")

    # x, theta, y and the softmax; a quarter of phi and g, and their indices
    numbers = (C + 2 * CI + P // 4) * P + 4 * CI * P // 4
    assert layer_cost(build, 1, C, H, W).saved_bytes == numbers * FLOAT


def test_a_matrix_is_kept_for_learning_and_never_made_in_an_inference():
    matrix = 48**4 * FLOAT  # 20 MiB: over the limit of a block, under that of what is kept

    def build():
        return NonLocalBlock(16, kernel="chunked", subsample="none")

    cost = layer_cost(build, 1, 16, 48, 48)
    assert cost.saved_bytes > matrix > cost.largest_bytes


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(
    ("pairwise", "kernel"),
    [
        ("embedded_gaussian", "sdpa"),
        ("embedded_gaussian", "chunked"),
        ("dot_product", "factored"),
        ("concatenation", "sorted"),
    ],
)
def test_lean_kernels_keep_and_make_nothing_of_size_p_x_q(pairwise, kernel, device):
    shape, matrix = (1, 16, 64, 64), 4096**2 * FLOAT

    def cost(name):
        def build():
            return NonLocalBlock(16, pairwise=pairwise, kernel=name, subsample="none")

        return layer_cost(build, *shape, device=device)

    lean, dense = cost(kernel), cost("dense")
    assert lean.saved_bytes < matrix / 4
    assert lean.largest_bytes < matrix / 3  # chunked: 16 MiB of 64
    assert dense.saved_bytes > matrix
    assert dense.largest_bytes == matrix
