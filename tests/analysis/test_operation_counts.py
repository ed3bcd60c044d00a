"""Counted operations against numbers derived by hand from the equations, and against fvcore."""

import math

import pytest
import torch
from detectron2.modeling import build_model
from fvcore.nn import FlopCountAnalysis
from small_models import RESNEXT, small_config
from torch import nn

from nonlocal_det.analysis import detector_costs, layer_cost
from nonlocal_det.analysis.operation_counts import ModulePath, OperationCounter
from nonlocal_det.layers import NonLocalBlock
from nonlocal_det.layers.kernels import KERNELS

C, CI, H, W = 48, 24, 10, 14
P = H * W
EVERY = [
    (kernel, pairwise, subsample)
    for kernel, (_, served) in KERNELS.items()
    for pairwise in served
    for subsample in ("after", "before", "none")
]


def by_hand(kernel: str, pairwise: str, subsample: str) -> int:
    """Multiply-adds of one block, from Eq. 1 to 6."""
    q = P if subsample == "none" else P // 4
    embedded_at = q if subsample == "before" else P  # where phi and g are computed
    projections = C * CI * embedded_at + CI * C * P  # g, w_z
    if pairwise != "gaussian":
        projections += C * CI * P + C * CI * embedded_at  # theta, phi
    width = C if pairwise == "gaussian" else CI  # of the product theta . phi
    affinity = P * q * width
    if pairwise == "concatenation":
        affinity = P * CI + q * CI  # w_f . [theta_i, phi_j] = a_i + b_j
    if kernel == "factored":
        return projections + min(q * CI * CI + P * CI * CI, P * q * 2 * CI)
    if kernel == "sorted":
        return projections + affinity
    return projections + affinity + P * q * CI


@pytest.mark.parametrize(("kernel", "pairwise", "subsample"), EVERY)
def test_every_kernel_costs_what_its_equations_say(kernel, pairwise, subsample):
    cost = layer_cost(
        lambda: NonLocalBlock(
            C, inner_channels=CI, kernel=kernel, pairwise=pairwise, subsample=subsample
        ),
        *(1, C, H, W),
    )
    assert cost.multiply_adds == by_hand(kernel, pairwise, subsample)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(
    ("options", "gigas"),
    [
        ({"subsample": "none"}, 26.9),
        ({"subsample": "after"}, 13.3),
        ({"subsample": "before"}, 10.0),
        ({"subsample": "none", "pairwise": "dot_product"}, 11.0),
        ({"subsample": "none", "pairwise": "concatenation"}, 8.8),
    ],
)
def test_the_block_on_res4_of_an_800x1344_image(options, gigas, device):
    cost = layer_cost(lambda: NonLocalBlock(1024, **options), 1, 1024, 50, 84, device=device)
    assert round(cost.multiply_adds / 1e9, 1) == gigas


def test_what_the_sorted_kernel_does_instead_of_products_is_counted():
    cost = layer_cost(
        lambda: NonLocalBlock(
            C, inner_channels=CI, pairwise="concatenation", kernel="sorted", subsample="none"
        ),
        *(1, C, H, W),
    )
    q = P
    sort_and_search = q * math.ceil(math.log2(q)) + P * math.ceil(math.log2(q + 1))
    running_sums = 2 * q * CI + q * CI  # of g and b g, and b g itself
    combination = 2 * P * CI  # a * plain + weighted
    least = sort_and_search + running_sums + combination
    others = 4 * C * P  # ... + batch norm, residual, averaging: far less than P Q Ci
    assert least < cost.other_operations < least + others < P * q * CI


def test_a_softmax_costs_the_same_fused_or_not():
    costs = {
        kernel: layer_cost(lambda k=kernel: NonLocalBlock(C, kernel=k), 1, C, H, W)
        for kernel in ("dense", "sdpa")
    }
    scaling = P * C // 2  # theta * scale, within the fused kernel
    assert costs["dense"].other_operations == costs["sdpa"].other_operations + scaling


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Conv2d(8, 12, 3, padding=1, groups=4), (1, 8, 5, 7), 5 * 7 * 12 * 2 * 9),
        (nn.ConvTranspose2d(8, 12, 4, stride=2, padding=1), (1, 8, 5, 7), 5 * 7 * 8 * 12 * 16),
        (nn.Linear(8, 12), (5, 8), 5 * 8 * 12),
        (nn.MaxPool2d(2), (1, 8, 4, 4), 0),
    ],
)
def test_layers_of_the_detector(layer, shape, expected):
    assert layer_cost(lambda: layer.to("meta"), *shape).multiply_adds == expected


def test_the_backbone_agrees_with_fvcore():
    cfg = small_config("quick/mask_keypoint_rcnn_R18", *RESNEXT)  # with grouped convolutions
    backbone = build_model(cfg).backbone.eval()
    theirs = FlopCountAnalysis(backbone, torch.zeros(1, 3, 64, 96))
    theirs.unsupported_ops_warnings(False)
    ours = detector_costs(cfg, size=(64, 96), memory=False)
    parts = ("stem", "res2", "res3", "res4", "res5", "fpn")
    found = sum(ours.parts[part].multiply_adds for part in parts)
    assert found == theirs.by_operator()["conv"]


@pytest.mark.parametrize(
    ("operation", "products", "others"),
    [
        (lambda: torch.ones(3, 8).sort(), 0, 3 * 8 * 3),  # n log2 n
        (lambda: torch.searchsorted(torch.ones(2, 7), torch.ones(2, 5)), 0, 2 * 5 * 3),
        (lambda: torch.ones(3, 8).cumsum(1), 0, 3 * 8),
        (lambda: nn.functional.max_pool2d(torch.ones(1, 2, 6, 8), 2), 0, 2 * 3 * 4 * 4),
        (lambda: torch.ones(3, 8).softmax(1), 0, 5 * 3 * 8),
        (lambda: torch.ones(3, 8).logsumexp(1), 0, 4 * 3 * 8),
        (lambda: torch.ones(3, 8) + 1, 0, 3 * 8),
        (lambda: torch.ones(3, 8).t().flip(0).clone(), 0, 0),
        (lambda: torch.ones(3, 8) @ torch.ones(8), 3 * 8, 0),
        (lambda: torch.ones(3, 8) @ torch.ones(8, 2), 3 * 8 * 2, 0),
        (lambda: torch.group_norm(torch.ones(2, 4, 5), 2), 0, 5 * 2 * 4 * 5),
        (lambda: nn.functional.interpolate(torch.ones(1, 2, 3, 3), scale_factor=2), 0, 0),
    ],
)
def test_single_operators(operation, products, others):
    with torch.no_grad(), OperationCounter(ModulePath()) as counter:
        operation()
    assert counter.unknown == {}
    assert (counter.multiply_adds.total(), counter.others.total()) == (products, others)


def test_an_operator_without_a_formula_is_named():
    path = ModulePath()
    with OperationCounter(path) as counter:
        torch.linalg.qr(torch.eye(3))
    assert "aten.linalg_qr.default" in counter.unknown
