"""The network against Table 1, the 2D network, and what time means to it."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor

from nonlocal_det.checkpoint import SafeCheckpointer
from nonlocal_det.layers import OVER, BlockOptions, insert_blocks, nonlocal_blocks
from nonlocal_det.video import VideoResNet
from nonlocal_det.video.resnet_layers import STEMS

FEATURES = ("res2", "res3", "res4", "res5")
INFLATE = ["", "3x1x1", "3x3x3"]


def shapes(frames, side=224, **options):
    with torch.device("meta"):
        net = VideoResNet(50, out_features=FEATURES, **options).eval()
        return [
            tuple(map_.shape[1:]) for map_ in net(torch.empty(1, 3, frames, side, side)).values()
        ]


@pytest.mark.parametrize(
    ("stem", "inflate", "frames", "res2", "time"),
    [
        ("paper_text", "", 32, (8, 56, 56), 4),  # Table 1
        ("paper_text", "3x3x3", 32, (8, 56, 56), 4),
        ("paper_code", "3x1x1", 32, (8, 55, 55), 4),
        ("paper_code", "", 128, (32, 55, 55), 16),
        ("fast", "3x1x1", 8, (8, 55, 55), 4),
        ("fast", "", 32, (32, 55, 55), 16),
        ("slowfast", "", 8, (8, 56, 56), 4),
        ("mmaction2", "", 32, (8, 56, 56), 4),
    ],
)
def test_maps_have_the_sizes_of_table_1(stem, inflate, frames, res2, time):
    expected = [(256, *res2), (512, time, 28, 28), (1024, time, 14, 14), (2048, time, 7, 7)]
    assert shapes(frames, stem=stem, inflate=inflate) == expected


@pytest.mark.parametrize(("depth", "channels"), [(18, 512), (34, 512), (101, 2048), (152, 2048)])
def test_other_depths_have_their_blocks(depth, channels):
    with torch.device("meta"):
        net = VideoResNet(depth, inflate="3x1x1")
        last = net(torch.empty(1, 3, 16, 64, 64))["res5"]
    assert last.shape[1] == channels == net.output_shape()["res5"].channels
    layers = 2 if depth < 50 else 3  # convolutions of a residual block
    assert 2 + layers * sum(map(len, net.stages.values())) == depth


@pytest.mark.parametrize(
    ("last", "inflate", "reach"),
    [("res2", "", 1), ("res2", "3x3x3", 9), ("res3", "3x3x3", 14), ("res4", "3x3x3", 18)],
)
def test_a_network_ends_at_the_last_feature_asked_for(last, inflate, reach):
    net = VideoResNet(18, inflate=inflate, stem="slowfast", width=4, out_features=(last,)).eval()
    whole = VideoResNet(18, inflate=inflate, stem="slowfast", width=4, out_features=FEATURES).eval()
    names = FEATURES[: FEATURES.index(last) + 1]
    assert list(net.stages) == list(names)
    whole.load_state_dict(net.state_dict(), strict=False)
    x = torch.rand(1, 3, 40, 32, 32, requires_grad=True)
    map_ = net(x)[last]
    torch.testing.assert_close(map_, whole(x)[last])
    (seen,) = torch.autograd.grad(map_[:, :, map_.shape[2] // 2].square().sum(), x)
    assert int((seen.abs().sum((0, 1, 3, 4)) > 0).sum()) == reach  # frames


def lively(net: nn.Module) -> nn.Module:
    """Give norms and blocks something to do, with activations that stay of one size."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            for value in (module.weight, module.running_var):
                value.data.uniform_(0.8, 1.2, generator=generator)
            for value in (module.bias, module.running_mean):
                value.data.uniform_(-0.1, 0.1, generator=generator)
    return net.eval()


def small(**options) -> nn.Module:
    torch.manual_seed(0)
    return lively(VideoResNet(50, width=8, stem="slowfast", **options))


def with_blocks(net: nn.Module) -> nn.Module:
    insert_blocks(net.stages, [[], [1, 3], [1, 3, 5], []], BlockOptions(), ndim=3)
    return lively(net)


@pytest.mark.parametrize("inflate", INFLATE)
def test_a_still_clip_gives_what_the_2d_network_gives(inflate, tmp_path):
    """Of a C2D at all time steps, of an I3D in the middle: the ends see the padding over time."""
    flat = lively(resnet18())  # stands for the ImageNet weights that the configs start from
    torch.save(flat.state_dict(), tmp_path / "resnet18.pth")
    net = VideoResNet(18, stem="slowfast", inflate=inflate).eval()
    model = nn.ModuleDict({"backbone": net})
    SafeCheckpointer(model, require="backbone").load(str(tmp_path / "resnet18.pth"))
    features_of = create_feature_extractor(flat, ["layer4"])
    image = torch.randn(1, 3, 64, 64)
    frames = 32 if inflate else 4  # an I3D's output reaches over 11 frames to each side
    with torch.no_grad():
        expected = features_of(image)["layer4"]
        features = net(image.unsqueeze(2).expand(-1, -1, frames, -1, -1))["res5"]
    assert features.shape[2] == frames // 2
    errors = (features - expected.unsqueeze(2)).abs().amax(dim=(0, 1, 3, 4)) / expected.max()
    assert errors[6:10].max() < 1e-5 if inflate else errors.max() < 1e-5
    if inflate:
        assert errors[0] > 1e-3


@pytest.mark.parametrize("stem", STEMS)
def test_every_stem_gives_each_time_step_of_a_still_c2d_the_same(stem):
    torch.manual_seed(0)
    net = lively(VideoResNet(18, width=8, stem=stem))
    clip = torch.randn(1, 3, 1, 64, 64).expand(-1, -1, 16, -1, -1)
    with torch.no_grad():
        first, *others = net(clip)["res5"].unbind(2)
    for other in others:
        torch.testing.assert_close(other, first, rtol=0, atol=1e-6)


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("inflate", INFLATE)
def test_only_an_i3d_can_tell_a_clip_from_its_reverse(inflate, blocks):
    net = small(inflate=inflate)
    if blocks:
        with_blocks(net)
    clip = torch.randn(1, 3, 8, 64, 64)
    with torch.no_grad():
        forward, backward = (net(x)["res5"].mean(dim=(2, 3, 4)) for x in (clip, clip.flip(2)))
        still = net(clip[:, :, :1].expand_as(clip))["res5"].mean(dim=(2, 3, 4))
    difference = (forward - backward).abs().max() / (forward - still).abs().max()
    assert difference < 1e-4 if not inflate else difference > 1e-2


@pytest.mark.parametrize("norm", ["", "BN"])
@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("inflate", ["", "3x1x1"])
def test_twins_are_identical_at_the_start(inflate, over, norm):
    net, twin = small(inflate=inflate), small(inflate=inflate)
    insert_blocks(
        twin.stages, [[0], [1, 3], [1, 3, 5], [-2]], BlockOptions(norm=norm, over=over), ndim=3
    )
    assert len(nonlocal_blocks(twin)) == 7
    clip = torch.randn(2, 3, 6, 32, 40)
    for mode in (net.train, net.eval):
        mode()
        twin.train(net.training)
        with torch.no_grad():
            assert torch.equal(net(clip)["res5"], twin(clip)["res5"])


@pytest.mark.parametrize(
    ("stem", "shape", "message"),
    [
        ("paper_code", (4, 64, 64), "a clip of 4 frames, .* by 8; set INPUT.VIDEO.FRAMES to at l"),
        ("fast", (1, 64, 64), "a clip of 1 frames, .* by 2"),
        ("fast", (8, 64, 16), "frames of 16x64 pixels, .* stride is 32; set INPUT.VIDEO.CROP"),
    ],
)
def test_clips_below_the_strides_are_refused(stem, shape, message):
    with pytest.raises(ValueError, match=message):
        VideoResNet(18, width=8, stem=stem)(torch.zeros(1, 3, *shape))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inflate": "3x3x1"}, "MODEL.VIDEO.INFLATE='3x3x1'; expected one of '', '3x1x1', '3x3x3'"),
        ({"stem": "slow"}, "MODEL.VIDEO.STEM='slow'; expected one of 'paper_text', 'paper_code'"),
        ({"norm": "LN"}, "MODEL.RESNETS.NORM='LN'; expected one of 'BN', 'SyncBN'"),
        ({"depth": 26}, "MODEL.RESNETS.DEPTH=26; expected one of 18, 34, 50, 101, 152"),
        ({"out_features": ["res6"]}, "MODEL.RESNETS.OUT_FEATURES='res6'; expected one of 'res2'"),
    ],
)
def test_an_unknown_architecture_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        VideoResNet(**options)


def test_clips_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"clips have shape \(2, 3, 64, 64\); expected \(N, 3"):
        VideoResNet(18, width=8)(torch.zeros(2, 3, 64, 64))
