"""A LazyConfig is its YAML config: the same tensors, the same losses."""

from pathlib import Path

import pytest
import torch
from detectron2.config import LazyConfig, instantiate
from detectron2.modeling import build_model
from detectron2.utils.events import EventStorage
from shared_batch import batch

from nonlocal_det.configs import load_config
from nonlocal_det.layers import nonlocal_blocks

LAZY = Path(__file__).parents[2] / "configs" / "lazy"
NAMES = sorted(path.relative_to(LAZY).with_suffix("").as_posix() for path in LAZY.rglob("*.py"))


def lazy_config(name):
    return LazyConfig.load(str(LAZY / f"{name}.py"))


def trainable(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("name", NAMES)
def test_the_tensors_are_those_of_the_yaml_config(name):
    with torch.device("meta"):
        ours = instantiate(lazy_config(name).model)
        theirs = build_model(load_config(name, device="meta"))
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in theirs.state_dict().items()
    }
    trained = [
        {k for k, p in model.named_parameters() if p.requires_grad} for model in (ours, theirs)
    ]
    assert trained[0] == trained[1]


def in_float32(samples):
    for sample in samples:
        truth = sample["instances"]
        sample["image"] = sample["image"].float()
        truth.gt_boxes.tensor = truth.gt_boxes.tensor.float()
        truth.gt_keypoints.tensor = truth.gt_keypoints.tensor.float()
    return samples


def test_the_first_losses_are_those_of_the_yaml_config():
    name = "quick/nl_mask_keypoint_rcnn_R18"
    ours = instantiate(lazy_config(name).model)
    theirs = build_model(load_config(name, device="cpu"))
    ours.load_state_dict(theirs.state_dict())
    losses = []
    for model in (ours, theirs):
        torch.manual_seed(3)
        with EventStorage():
            losses.append(model(in_float32(batch())))
    assert losses[0].keys() == losses[1].keys()
    for key, loss in losses[0].items():
        assert torch.equal(loss, losses[1][key]), key


def test_the_blocks_are_changed_at_one_place():
    lazy = LazyConfig.apply_overrides(
        lazy_config("nl_keypoint_rcnn_R50"),
        [
            "model.backbone.bottom_up.options.pairwise=dot_product",
            "model.roi_heads.keypoint_head.options.subsample=none",
        ],
    )
    with torch.device("meta"):
        blocks = nonlocal_blocks(instantiate(lazy.model))
    assert blocks["backbone.bottom_up.res4.nl4"].pairwise == "dot_product"
    assert blocks["roi_heads.keypoint_head.nl4"].subsample == "none"


def test_a_dead_block_is_refused_on_this_path_too():
    lazy = lazy_config("nl_mask_rcnn_R50")
    lazy.model.backbone.bottom_up.options.norm = "FrozenBN"
    with torch.device("meta"), pytest.raises(ValueError, match="identity for ever"):
        instantiate(lazy.model)
