"""Other projects' networks for clips: the same weights and clip give their logits here."""

import pickle
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from detectron2.modeling.backbone.resnet import BasicStem, ResNet
from peer_videos import CAFFE2, FIVE, MMACTION2, REAL, SLOWFAST, File, Network, shake_to_scale
from torch import nn

from nonlocal_det.checkpoint import SafeCheckpointer, read_checkpoint
from nonlocal_det.checkpoint.convert import Choices, check_fit, convert_state
from nonlocal_det.cli.convert import main as convert_command
from nonlocal_det.configs import load_config
from nonlocal_det.video.resnet_layers import NORMS

ORG = {"conv1": 2, "pool1": (2, 2), "pool1_pad": 0}  # the authors' 32x2 and 128x1
FAST = {"pool1_pad": 0}  # their 8x8 and 32x4
AFFINE = {"affine": True, "window": 4}
MMA = {"conv1": 2, "pool1": (1, 2)}
NETWORKS = {
    "caffe2-c2d-32x2": Network(CAFFE2, **ORG),
    "caffe2-nl-c2d-8x8": Network(CAFFE2, blocks=FIVE, **FAST),
    "caffe2-nl-c2d-8x8-dot": Network(CAFFE2, blocks=FIVE, function="dot_product", **FAST),
    "caffe2-i3d-32x4-affine": Network(CAFFE2, True, affine=True, **FAST),
    "caffe2-nl-i3d-128x1-affine": Network(CAFFE2, True, FIVE, **ORG, **AFFINE),
    "caffe2-nl-i3d-32x2": Network(CAFFE2, True, FIVE, **ORG),
    "slowfast-C2D": Network(SLOWFAST),
    "slowfast-C2D_NLN": Network(SLOWFAST, False, FIVE),
    "slowfast-I3D": Network(SLOWFAST, True),
    "slowfast-I3D_NLN": Network(SLOWFAST, True, FIVE),
    "slowfast-I3D_NLN-dot": Network(SLOWFAST, True, FIVE, "dot_product"),
    "slowfast-c2d_nopool": Network(SLOWFAST, pool2=1),
    "mmaction2-i3d": Network(MMACTION2, True, **MMA),
    "mmaction2-nl-i3d": Network(MMACTION2, True, FIVE, **MMA),
    "mmaction2-nl-i3d-gaussian": Network(MMACTION2, True, FIVE, "gaussian", **MMA),
    "mmaction2-nl-i3d-dot": Network(MMACTION2, True, FIVE, "dot_product", **MMA),
    "mmaction2-c2d": Network(MMACTION2, flat=True, **FAST),
}


def settings(conversion, network):
    """What the map prints for the config to say, as a command line takes it."""
    line = re.search("the config must say: (.*)", str(conversion))[1]
    if network.pool2 == 1 or (network.project is CAFFE2 and network.conv1 == 1):
        line = re.sub(r'"\w+" \(or ("\w+")\)', r"\1", line)
    return shlex.split(re.sub(r" \(or \S+\)", "", line))


def converted(file, name, **choices):
    dot = "dot_product" if NETWORKS[name].function == "dot_product" else None
    choices = {"ndim": 3, "prefix": "backbone.", "pairwise": dot, **choices}
    return convert_state(file, name.split("-")[0], Choices(**choices))


def build(network, said):
    config = f"video/{'nl_' if network.blocks else ''}c2d_R50_8x8"
    width = ["MODEL.RESNETS.WIDTH_PER_GROUP", str(network.width)]
    return (cfg := load_config(config, [*said, *width], "cpu")), build_model(cfg).eval()


CASES = [("formula", name, "") for name in NETWORKS]
CASES += [("real", name, "") for name in NETWORKS if name.split("-")[0] in REAL]
CASES += [(kind, "slowfast-I3D_NLN", "BN") for kind, name, _ in CASES if name == "slowfast-I3D_NLN"]


@pytest.mark.parametrize(("kind", "name", "norm"), CASES)
@torch.no_grad()
def test_the_same_weights_and_clip_give_the_same_logits(kind, name, norm):
    project, network = name.split("-")[0], NETWORKS[name]
    frames = 32 if network.window else 16
    run = network
    if kind == "real":
        network = replace(network, width=64 if network.flat else 8)
        run = REAL[project](network, frames, 64)
    mean, std = torch.full((3,), 114.75), torch.full((3,), 57.375)
    if project == "mmaction2":
        mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    clip = torch.rand(2, 3, frames, 64, 64) * 255
    file = File()
    expected = run(file, (clip - mean.view(-1, 1, 1, 1)) / std.view(-1, 1, 1, 1))
    conversion = converted(file, name, norm=norm)
    cfg, model = build(network, settings(conversion, network))
    check_fit(conversion, model, cfg)
    missing, unexpected = model.load_state_dict(conversion.state, strict=False)
    assert unexpected == []
    assert all(name.endswith("num_batches_tracked") for name in missing)
    found = model.logits(clip).squeeze(1)
    assert expected.std() > 0.05
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def files():
    """The files of some networks, drawn once."""
    made = {}
    for name in ("caffe2-nl-i3d-128x1-affine", "caffe2-c2d-32x2", "slowfast-I3D_NLN"):
        with torch.no_grad():
            NETWORKS[name](made.setdefault(name, File()), torch.rand(1, 3, 32, 32, 32))
    return made


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "caffe2-nl-i3d-128x1-affine",
            ["MODEL.VIDEO.WINDOW", "[0, 0, 0, 0]"],
            r'another function; set MODEL.VIDEO.WINDOW "\[0, 4, 0, 0\]"$',
        ),
        (
            "caffe2-c2d-32x2",
            ["MODEL.VIDEO.STEM", "mmaction2", "MODEL.PIXEL_STD", "[1.0, 1.0, 1.0]"],
            r'MODEL.VIDEO.STEM "paper_code" \(or "fast"\) \(or "slowfast"\) MODEL.PIXEL_STD',
        ),
        (
            "caffe2-c2d-32x2",
            ["MODEL.VIDEO.NUM_CLASSES", "157"],
            r"model than this one: 2 of another shape: head.linear.weight \(5, 128\) for "
            r'\(157, 128\), head.linear.bias .*; set MODEL.VIDEO.NUM_CLASSES "5"$',
        ),
        (
            "caffe2-c2d-32x2",
            ["MODEL.RESNETS.DEPTH", "101"],
            r"255 missing: backbone.res4.6.conv1.weight, .* and 250 more; "
            'set MODEL.RESNETS.DEPTH "50"$',
        ),
        (
            "slowfast-I3D_NLN",
            ["MODEL.VIDEO.INFLATE", ""],
            r"10 of another shape: backbone.stem.conv1.weight \(4, 3, 5, 7, 7\) for "
            r'\(4, 3, 1, 7, 7\), .* and 5 more; set MODEL.VIDEO.INFLATE "3x1x1"$',
        ),
        (
            "slowfast-I3D_NLN",
            ["MODEL.NONLOCAL.AFTER_BLOCKS", "[[], [], [-2], []]"],
            r'has its blocks at .*backbone.res4.nl4.*AFTER_BLOCKS "\[\[\], \[1, 3\], \[1, 3, 5\], ',
        ),
    ],
)
def test_a_network_of_another_function_is_refused(files, name, options, said):
    conversion, network = converted(files[name], name), NETWORKS[name]
    cfg, model = build(network, [*settings(conversion, network), *options])
    with pytest.raises(ValueError, match=said):
        check_fit(conversion, model, cfg)


def test_a_second_pathway_has_no_place(files):
    file = {**files["slowfast-I3D_NLN"], "s1.pathway1_stem.conv.weight": torch.ones(1)}
    with pytest.raises(ValueError, match=r"1 tensors have no place .*: s1.pathway1_stem.conv.weig"):
        converted(file, "slowfast-I3D_NLN")
    with pytest.raises(ValueError, match=r"no non-local block .*a baseline\? one for clips takes"):
        convert_state(files["caffe2-c2d-32x2"], "caffe2")


def test_the_tool_reads_the_authors_pickles(files, tmp_path, monkeypatch, capsys):
    """With the optimizer's state, the classifier as a convolution, and the dict itself."""
    name, path = "caffe2-c2d-32x2", tmp_path / "c2d_baseline_32x2_IN_pretrain_400k.pkl"
    blobs = {key: value.numpy() for key, value in files[name].items()}
    blobs |= {f"{key}_momentum": value for key, value in blobs.items()}
    blobs["pred_w"] = blobs["pred_w"].reshape(5, 128, 1, 1, 1)
    blobs |= {"lr": np.float32([0.01]), "model_iter": 400000}
    options = ["MODEL.RESNETS.WIDTH_PER_GROUP", "4", "MODEL.VIDEO.NUM_CLASSES", "5"]
    options += ["MODEL.PIXEL_MEAN", "[114.75, 114.75, 114.75]"]
    options += ["MODEL.PIXEL_STD", "[57.375, 57.375, 57.375]"]
    for content in (blobs, {"blobs": blobs}):
        path.write_bytes(pickle.dumps(content, protocol=2))
        words = [path, tmp_path / "a.pth", "--from", "caffe2"]
        words += ["--config-file", "video/c2d_R50_32x2", *options]
        convert_command(list(map(str, words)))
        said = capsys.readouterr().out
        assert "momentum of 0.1, which this network has, is 0.9 in Caffe2's sense" in said
        model = read_checkpoint(tmp_path / "a.pth")["model"]
        expected = converted(files[name], name).state
        assert model.keys() == expected.keys()
        assert all(torch.equal(model[key], value) for key, value in expected.items())
    with pytest.raises(SystemExit, match=r"same weights are another function; set MODEL.PIXEL_ME"):
        convert_command([*map(str, words[:6]), *options[:4]])


def test_a_batch_norm_learns_as_caffe2s_does():
    """Caffe2's momentum of 0.9 is the share of the old statistics: torch's 0.1."""
    x = torch.randn(4, 2, 3, 5, 5)
    layer = NORMS["BN"](2)
    old = layer.running_mean.uniform_(-1, 1).clone()
    layer(x)
    mean = x.mean((0, 2, 3, 4))
    torch.testing.assert_close(layer.running_mean, 0.9 * old + (1 - 0.9) * mean)


def test_2d_weights_of_detectron2_give_a_still_clip_its_features(tmp_path):
    """With the stride in the 1x1, as MSRA's have it and the paper's preset."""
    stages = ResNet.make_default_stages(50, norm="BN", stride_in_1x1=True)
    flat = ResNet(BasicStem(norm="BN"), stages, out_features=["res5"]).eval()
    shake_to_scale(flat.state_dict())
    arrays = {name: value.numpy() for name, value in flat.state_dict().items()}
    content = {"model": arrays, "__author__": "Detectron2", "matching_heuristics": True}
    (tmp_path / "R-50.pkl").write_bytes(pickle.dumps(content))
    cfg = load_config("video/c2d_R50_32x2", ["MODEL.VIDEO.PRESET", "paper"], "cpu")
    backbone = build_model(cfg).backbone.eval()
    model = nn.ModuleDict({"backbone": backbone})
    SafeCheckpointer(model, require="backbone").load(str(tmp_path / "R-50.pkl"))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = flat(image)["res5"].unsqueeze(2)
        found = backbone(image.unsqueeze(2).expand(-1, -1, 8, -1, -1))["res5"]
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_without_a_choice_the_blocks_norm_is_the_configs(files, tmp_path):
    name, path = "slowfast-I3D_NLN", tmp_path / "model.pyth"
    torch.save({"model_state": dict(files[name])}, path)
    words = [str(path), str(tmp_path / "a.pth"), "--from", "slowfast", "--config-file"]
    words += ["video/nl_c2d_R50_8x8", *settings(converted(files[name], name), NETWORKS[name])]
    words += ["MODEL.RESNETS.WIDTH_PER_GROUP", "4", "MODEL.NONLOCAL.NORM"]
    for norm in ("BN", ""):
        convert_command([*words, norm])
        state = read_checkpoint(tmp_path / "a.pth")["model"]
        assert ("backbone.res4.nl1.norm.running_var" in state) == (norm == "BN")
