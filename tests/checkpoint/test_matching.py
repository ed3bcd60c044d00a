"""Weights are matched by the ends of their names, and a 2D kernel is inflated into a 3D one."""

import pickle

import pytest
import torch
import torchvision
from torch import nn

from nonlocal_det.checkpoint import SafeCheckpointer


def load(model, path, content):
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    checkpointer = SafeCheckpointer(model)
    checkpointer.load(str(path))
    return checkpointer.report


def network(conv=nn.Conv2d) -> nn.Module:
    """A stem and a head below ``backbone.``"""
    layers = {"conv1": conv(3, 4, 3, bias=False), "conv2": conv(4, 4, 1)}
    return nn.ModuleDict({"backbone": nn.ModuleDict({"stem": nn.ModuleDict(layers)})})


STEM = {
    "stem.conv1.weight": torch.rand(4, 3, 3, 3).numpy(),
    "stem.conv2.weight": torch.rand(4, 4, 1, 1).numpy(),
    "stem.conv2.bias": torch.rand(4).numpy(),
    "stem.fc.weight": torch.rand(10, 4).numpy(),
}


def test_a_2d_kernel_fills_each_plane_of_a_3d_one_in_equal_parts(tmp_path, caplog):
    model = network(nn.Conv3d)
    content = {"model": STEM, "__author__": "torchvision", "matching_heuristics": True}
    report = load(model, tmp_path / "R-50.pkl", content)
    conv1, conv2 = model["backbone"]["stem"].values()
    for plane in range(3):
        weight = torch.from_numpy(STEM["stem.conv1.weight"])
        torch.testing.assert_close(conv1.weight[:, :, plane], weight / 3, rtol=0, atol=0)
    assert torch.equal(conv2.weight[:, :, 0], torch.from_numpy(STEM["stem.conv2.weight"]))
    assert torch.equal(conv2.bias, torch.from_numpy(STEM["stem.conv2.bias"]))
    names = ("backbone.stem.conv1.weight", "backbone.stem.conv2.weight")
    assert set(report.inflated) == set(names)
    assert set(report.matched) == {*names, "backbone.stem.conv2.bias"}
    assert report.unexpected == ("stem.fc.weight",)
    assert "inflated, w / T in each of T planes of a 3D kernel: backbone.stem.conv" in caplog.text
    assert "unexpected, so not used: stem.fc.weight" in caplog.text


def test_still_input_gives_what_the_2d_kernel_gives(tmp_path):
    flat, model = network(), network(nn.Conv3d)
    report = load(model, tmp_path / "a.pth", {"model": flat.state_dict()})  # by equal names
    assert report.fits()
    assert len(report.inflated) == 2
    x = torch.rand(2, 3, 8, 8)
    y = flat["backbone"]["stem"]["conv1"](x)
    still = x.unsqueeze(2).expand(-1, -1, 5, -1, -1)
    z = model["backbone"]["stem"]["conv1"](still)
    torch.testing.assert_close(z, y.unsqueeze(2).expand_as(z))


def test_a_kernel_of_other_sides_is_not_inflated(tmp_path):
    state = {"backbone.stem.conv1.weight": torch.zeros(4, 3, 5, 5)}
    report = load(network(nn.Conv3d), tmp_path / "a.pth", {"model": state})
    assert report.inflated == ()
    name = "backbone.stem.conv1.weight"
    assert report.mismatched == ((name, (4, 3, 5, 5), (4, 3, 3, 3, 3)),)


@pytest.mark.parametrize("conv", [nn.Conv2d, nn.Conv3d])
def test_the_longest_name_in_the_file_counts(conv, tmp_path):
    state = {"stem.conv1.weight": torch.ones(4, 3, 3, 3), "conv1.weight": torch.zeros(4, 3, 3, 3)}
    content = {"model": state, "__author__": "x", "matching_heuristics": True}
    model = network(conv)
    report = load(model, tmp_path / "a.pth", content)
    assert model["backbone"]["stem"]["conv1"].weight.min() > 0.3
    assert report.unexpected == ("conv1.weight",)


def test_a_name_that_fits_two_tensors_is_refused(tmp_path):
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    content = {"model": {"weight": torch.ones(2, 2)}, "matching_heuristics": True}
    with pytest.raises(ValueError, match=r"weight fits a\.weight and b\.weight of the model"):
        load(model, tmp_path / "a.pth", content)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_torchvisions_own_file_fills_detectron2s_resnet(name, tmp_path):
    from detectron2.modeling import build_resnet_backbone
    from detectron2.modeling.backbone.fpn import ShapeSpec
    from small_models import small_config

    source = torchvision.models.get_model(name).eval()
    for module in source.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    wide = ["MODEL.RESNETS.RES2_OUT_CHANNELS", 256] if name == "resnet50" else []
    options = ["MODEL.RESNETS.DEPTH", int(name[6:]), "MODEL.RESNETS.STRIDE_IN_1X1", False, *wide]
    cfg = small_config("quick/mask_keypoint_rcnn_R18", *options)
    cfg.MODEL.RESNETS.OUT_FEATURES = ["res5"]
    resnet = build_resnet_backbone(cfg, ShapeSpec(channels=3)).eval()
    report = load(nn.ModuleDict({"backbone": resnet}), tmp_path / "a.pth", source.state_dict())
    assert report.unmatched == []
    assert report.unexpected == ("stem.fc.weight", "stem.fc.bias")
    x = torch.rand(1, 3, 64, 64)
    y = source.maxpool(source.relu(source.bn1(source.conv1(x))))
    y = source.layer4(source.layer3(source.layer2(source.layer1(y))))
    torch.testing.assert_close(resnet(x)["res5"], y, rtol=1e-4, atol=1e-5)
