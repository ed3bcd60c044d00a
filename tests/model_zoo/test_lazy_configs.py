"""Every config has a lazy twin with the same tensors, losses, data and schedule."""

import ast
import math
import re
from pathlib import Path

import pytest
import torch
from detectron2 import model_zoo as upstream
from detectron2.config import LazyConfig, instantiate
from detectron2.utils.events import EventStorage
from lazy_twins import (
    both,
    check_same_data,
    check_same_model,
    check_same_settings,
    check_same_solver,
    lazy_model,
    make_batch,
    yaml_model,
)
from omegaconf import DictConfig

from nonlocal_det import model_zoo
from nonlocal_det.detection import nonlocal_blocks

NAMES = model_zoo.config_names()
LAZY = Path(model_zoo.get_lazy_config_file("mask_rcnn_R50")).parent
TEXT = '''"""The LazyConfig twin of {0}.yaml, call by call."""

from nonlocal_det.training.lazy import twin

dataloader, lr_multiplier, model, optimizer, train = twin("{0}")
'''
SMALL = [name for name in NAMES if name.startswith(("quick/", "long_range/"))]
TYPICAL = [  # every kind of node is in one of them; the others are slow, all of them together
    *("nl_mask_rcnn_R50", "nl_keypoint_rcnn_R50", "mask_rcnn_X152"),
    *("quick/nl_mask_keypoint_rcnn_R18", "long_range/beacon_R18", "long_range/gcnet_pairs_R18"),
    *("long_range/control_beacon_deep_R50_5blocks", "long_range/nl_pose_short_R18"),
    "long_range/beacon_wide_R18",
]
CHEAP = ["quick/nl_mask_keypoint_rcnn_R18", "long_range/gcnet_pairs_R18"]


def fast(names, among):
    return [name if name in among else pytest.param(name, marks=pytest.mark.slow) for name in names]


def test_every_config_has_a_twin_and_every_twin_a_config():
    twins = {path.relative_to(LAZY).with_suffix("").as_posix() for path in LAZY.rglob("*.py")}
    missing = sorted(set(NAMES) - twins)
    assert not missing, "write configs/lazy/NAME.py: " + "\n".join(map(TEXT.format, missing))
    left_over = sorted(twins - set(NAMES))
    assert not left_over, f"their YAML configs are gone: {left_over}"
    for name in NAMES:
        found, expected = (LAZY / f"{name}.py").read_text(), TEXT.format(name)
        assert ast.dump(ast.parse(found)) == ast.dump(ast.parse(expected)), name


@pytest.mark.parametrize("name", fast(NAMES, TYPICAL))
def test_the_same_tensors_blocks_and_settings(name):
    check_same_model(*both(name))


def losses(model, data):
    """Of a first iteration, with the same random numbers for each model."""
    torch.manual_seed(3)
    with EventStorage():
        found = model.train()(data)
    return {name: float(value) for name, value in found.items()}


@pytest.mark.parametrize("name", fast(SMALL, CHEAP))
def test_the_same_first_weights_and_losses_bit_for_bit(name):
    lazy, cfg = both(name)
    torch.manual_seed(1)
    ours = lazy_model(lazy)
    torch.manual_seed(1)
    theirs = yaml_model(cfg)
    state = theirs.state_dict()
    assert all(torch.equal(value, state[n]) for n, value in ours.state_dict().items())
    for block in nonlocal_blocks(ours).values():  # as if learnt: else they could not matter
        torch.nn.init.normal_(block.gate.weight, std=0.1)
    theirs.load_state_dict(ours.state_dict())
    expected = losses(theirs, make_batch(cfg))
    assert all(math.isfinite(value) for value in expected.values())
    assert losses(ours, make_batch(cfg)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_same_training_data_and_evaluation(name):
    lazy, cfg = both(name)
    assert set(lazy) == {"dataloader", "lr_multiplier", "model", "optimizer", "train"}
    check_same_solver(lazy, cfg)
    check_same_data(lazy, cfg)
    check_same_settings(lazy, cfg)


def paths(node, prefix=""):
    """Of all that can be overridden."""
    for key, value in node.items():
        yield prefix + str(key)
        if isinstance(value, DictConfig):
            yield from paths(value, f"{prefix}{key}.")


@pytest.mark.parametrize(
    ("name", "part", "theirs"),
    [
        ("mask_rcnn_R50", "model", "common/models/mask_rcnn_fpn.py"),
        ("keypoint_rcnn_R50", "model", "common/models/keypoint_rcnn_fpn.py"),
        ("mask_rcnn_R50", "dataloader", "common/data/coco.py"),
        ("keypoint_rcnn_R50", "dataloader", "common/data/coco_keypoint.py"),
    ],
)
def test_the_paths_are_those_of_detectron2s_own_lazy_configs(name, part, theirs):
    lazy, _ = both(name)
    assert set(paths(upstream.get_config(theirs)[part])) <= set(paths(lazy[part]))


def test_a_lazy_model_can_be_changed_at_one_place():
    lazy, _ = both("nl_mask_rcnn_R50")
    changes = ["model.backbone.bottom_up.after_blocks=[[],[0],[],[]]"]
    changes += ["model.backbone.bottom_up.block.pairwise=dot_product"]
    changes += ["model.roi_heads.num_classes=5", "model.backbone.out_channels=64"]
    changes += ["model.roi_heads.box_head.fc_dims=[32,48]", "train.max_iter=100"]
    model = lazy_model(LazyConfig.apply_overrides(lazy, changes), "meta")
    ((name, block),) = nonlocal_blocks(model).items()
    assert (name, block.pairwise) == ("backbone.bottom_up.res3.nl0", "dot_product")
    heads = model.roi_heads
    assert heads.box_predictor.cls_score.weight.shape == (6, 48)
    assert heads.mask_head.predictor.out_channels == 5
    assert model.proposal_generator.rpn_head.conv.in_channels == 64
    # of the 1000 iterations of the warm-up, 50; no step of 90000 is left
    assert instantiate(lazy.lr_multiplier)(0.5) == pytest.approx(0.5005)


def test_the_lines_of_the_tools_readme_run(tmp_path):
    text = (LAZY.parents[1] / "tools" / "README.md").read_text()
    (lines,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    path = tmp_path / "own.py"
    path.write_text(lines)
    lazy = LazyConfig.load(str(path))
    assert lazy.model.roi_heads.mask_head.num_classes == 5
    assert lazy.model.backbone.bottom_up.block.pairwise == "dot_product"


def test_a_lazy_config_is_found_by_path_and_name(tmp_path):
    expected = model_zoo.get_lazy_config_file("ablations/nl_mask_rcnn_R50_res3")
    for name in ("ablations/nl_mask_rcnn_R50_res3", "lazy/ablations/nl_mask_rcnn_R50_res3.py"):
        assert model_zoo.find_lazy_config(name) == expected
    assert model_zoo.find_lazy_config(expected) == expected
    with pytest.raises(FileNotFoundError, match="did you mean nl_mask_rcnn_R50"):
        model_zoo.find_lazy_config("configs/lazy/nl_mask_rcn_R50.py")
    with pytest.raises(ValueError, match=r"is a YAML config: .* configs/lazy/nl_mask_rcnn_R50.py"):
        model_zoo.find_lazy_config("configs/nl_mask_rcnn_R50.yaml")
    other = tmp_path / "notes.txt"
    other.write_text("")
    with pytest.raises(ValueError, match=r"a LazyConfig is a Python file"):
        model_zoo.find_lazy_config(str(other))
