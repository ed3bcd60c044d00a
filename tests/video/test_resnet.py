"""The network against Table 1 and numbers computed by hand."""

import pytest
import torch

from nonlocal_det.video.resnet import VideoResNet

FEATURES = ("res2", "res3", "res4", "res5")


def shapes(frames, side=224, **options):
    with torch.device("meta"):
        net = VideoResNet(50, out_features=FEATURES, **options).eval()
        return [
            tuple(map_.shape[1:]) for map_ in net(torch.empty(1, 3, frames, side, side)).values()
        ]


@pytest.mark.parametrize("inflate", ["", "3x1x1", "3x3x3"])
@pytest.mark.parametrize(
    ("stem", "frames", "res2", "time"),
    [
        ("paper_text", 32, (8, 56, 56), 4),  # Table 1
        ("paper_code", 32, (8, 55, 55), 4),
        ("paper_code", 128, (32, 55, 55), 16),
        ("fast", 8, (8, 55, 55), 4),
        ("fast", 32, (32, 55, 55), 16),
        ("slowfast", 8, (8, 56, 56), 4),
        ("mmaction2", 32, (8, 56, 56), 4),
    ],
)
def test_maps_have_the_sizes_of_table_1(inflate, stem, frames, res2, time):
    expected = [(256, *res2), (512, time, 28, 28), (1024, time, 14, 14), (2048, time, 7, 7)]
    assert shapes(frames, stem=stem, inflate=inflate) == expected


@pytest.mark.parametrize(
    ("depth", "inflate", "millions"),
    [
        (50, "", 24_327_632),
        (50, "3x1x1", 28_043_472),
        (50, "3x3x3", 33_433_808),
        (101, "", 43_319_760),
        (101, "3x1x1", 51_754_192),
        (101, "3x3x3", 63_042_768),
    ],
)
def test_parameters_are_those_counted_by_hand(depth, inflate, millions):
    with torch.device("meta"):
        net = VideoResNet(depth, inflate=inflate)
    classifier = 2048 * 400 + 400
    assert sum(p.numel() for p in net.parameters()) + classifier == millions
