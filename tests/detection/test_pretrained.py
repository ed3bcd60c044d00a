"""Pre-trained files load every backbone tensor of a non-local model: its names have not moved.

The files are made here, with random arrays, in the two formats that Detectron2 reads.
"""

import pickle
import re

import numpy as np
import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_backbone, build_model
from small_models import small_config

from nonlocal_det import model_zoo
from nonlocal_det.checkpoint import SafeCheckpointer
from nonlocal_det.layers import nonlocal_blocks

BRANCH = {"conv1": "branch2a", "conv2": "branch2b", "conv3": "branch2c", "shortcut": "branch1"}


def caffe2_name(name: str) -> str:
    """A ResNet's tensor as Caffe2 called it: res4.5.conv2.norm.weight -> res4_5_branch2b_bn_s."""
    kind = {"weight": "w", "norm.weight": "bn_s", "norm.bias": "bn_b"}
    layer, field = re.fullmatch(r"(.*?conv\d|.*shortcut)\.(.*)", name).groups()
    if layer == "stem.conv1":
        return "conv1_w" if field == "weight" else f"res_conv1_{kind[field]}"
    stage, block, part = layer.split(".")
    return f"{stage}_{block}_{BRANCH[part]}_{kind[field]}"


def random_like(tensor: torch.Tensor, generator: np.random.Generator) -> np.ndarray:
    return generator.random(tuple(tensor.shape), dtype=np.float32)


@pytest.mark.parametrize("name", ["nl_mask_rcnn_R50", "ablations/nl_mask_rcnn_R50_10blocks"])
def test_a_caffe2_file_loads_every_backbone_tensor(name, tmp_path):
    cfg = model_zoo.get_config(name)
    resnet = build_backbone(cfg, ShapeSpec(channels=3)).bottom_up
    generator = np.random.default_rng(0)
    wanted = {
        key: random_like(value, generator)
        for key, value in resnet.state_dict().items()
        if ".nl" not in key and not key.endswith(("running_mean", "running_var"))
    }
    assert len(wanted) == 53 * 3  # 53 convolutions, each with a weight and a norm's two
    path = tmp_path / "R-50.pkl"
    path.write_bytes(pickle.dumps({caffe2_name(key): value for key, value in wanted.items()}))
    before = {key: value.clone() for key, value in resnet.state_dict().items() if ".nl" in key}
    SafeCheckpointer(resnet).load(str(path))
    after = resnet.state_dict()
    for key, value in wanted.items():
        assert torch.equal(after[key], torch.from_numpy(value)), key
    assert before
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_a_zoo_file_of_the_baseline_leaves_only_the_blocks(tmp_path):
    baseline = build_model(small_config("quick/mask_keypoint_rcnn_R18")).state_dict()
    generator = np.random.default_rng(0)
    wanted = {
        key: random_like(value, generator) if value.is_floating_point() else value.numpy()
        for key, value in baseline.items()
    }
    path = tmp_path / "model_final.pkl"
    path.write_bytes(pickle.dumps({"model": wanted, "__author__": "Detectron2 Model Zoo"}))
    model = build_model(small_config())
    checkpointer = SafeCheckpointer(model, require="backbone")
    checkpointer.load(str(path))
    after = model.state_dict()
    for key, value in wanted.items():
        assert torch.equal(after[key], torch.from_numpy(value)), key
    blocks = tuple(f"{name}." for name in nonlocal_blocks(model))
    assert checkpointer.report.missing
    assert all(key.startswith(blocks) for key in checkpointer.report.missing)
    assert not checkpointer.report.unexpected
