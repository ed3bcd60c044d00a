"""Every config has a lazy twin with the same tensors, losses, data and schedule."""

import ast
import math
import re
from pathlib import Path

import pytest
import torch
from detectron2 import model_zoo as upstream
from detectron2.config import LazyConfig, instantiate
from detectron2.data import DatasetMapper
from detectron2.modeling import build_model
from detectron2.solver import LRMultiplier, build_lr_scheduler, build_optimizer
from detectron2.utils.events import EventStorage
from lazy_twins import both, differences, make_batch, settings, told
from omegaconf import DictConfig

from nonlocal_det import model_zoo
from nonlocal_det.engine.lazy import twin
from nonlocal_det.engine.lazy.settings import PATHS, read_settings
from nonlocal_det.modeling import nonlocal_blocks

NAMES = model_zoo.config_names()
LAZY = Path(model_zoo.get_lazy_config_file("mask_rcnn_R50")).parent
TEXT = '''"""The LazyConfig twin of {0}.yaml, call by call."""

from nonlocal_det.engine.lazy import twin

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


def lazy_model(lazy, device="cpu"):
    with torch.device(device):
        return instantiate(lazy.model)


def yaml_model(cfg, device="cpu"):
    cfg.MODEL.DEVICE = device
    with torch.device(device):
        return build_model(cfg)


def check_same_model(lazy, cfg):
    ours, theirs = lazy_model(lazy, "meta"), yaml_model(cfg, "meta")
    shapes = [{n: v.shape for n, v in m.state_dict().items()} for m in (ours, theirs)]
    assert list(shapes[0]) == list(shapes[1])
    assert shapes[0] == shapes[1]
    learning = [[n for n, p in m.named_parameters() if p.requires_grad] for m in (ours, theirs)]
    assert learning[0] == learning[1]
    assert differences(settings(ours), settings(theirs)) == {}
    return settings(ours)


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


def check_same_solver(lazy, cfg):
    layer = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    lazy.optimizer.params.model = layer
    ours, theirs = instantiate(lazy.optimizer), build_optimizer(cfg, layer)
    keys = ("lr", "momentum", "weight_decay", "nesterov", "foreach")
    groups = [
        [(id(p), *(g[key] for key in keys)) for g in one.param_groups for p in g["params"]]
        for one in (ours, theirs)
    ]
    assert groups[0] == groups[1]
    for size in (0.01, 100.0):  # below and above any clipping
        assert torch.equal(change(layer, ours, size), change(layer, theirs, size))
    most = cfg.SOLVER.MAX_ITER
    ours = LRMultiplier(ours, instantiate(lazy.lr_multiplier), most)
    theirs = build_lr_scheduler(cfg, theirs)
    for step in (0, 10, cfg.SOLVER.WARMUP_ITERS, *cfg.SOLVER.STEPS, most):
        for iteration in (step - 1, step):
            if 0 <= iteration < most:
                ours.last_epoch = theirs.last_epoch = iteration
                assert ours.get_lr() == theirs.get_lr()


def change(layer, optimizer, size):
    """Of the weights, by a first step with such gradients."""
    before = [parameter.detach().clone() for parameter in layer.parameters()]
    for parameter in layer.parameters():
        parameter.grad = torch.linspace(-size, size, parameter.numel()).view_as(parameter)
    optimizer.step()
    optimizer.state.clear()
    for parameter, old in zip(layer.parameters(), before, strict=True):
        parameter.data, old.data = old.data, (parameter.detach() - old)
    return torch.cat([old.flatten() for old in before])


def check_same_data(lazy, cfg):
    train, test = lazy.dataloader.train, lazy.dataloader.test
    assert told(instantiate(train.mapper)) == told(DatasetMapper(cfg, is_train=True))
    ours, theirs = instantiate(test.mapper), DatasetMapper(cfg, is_train=False)
    assert told(ours.augmentations) == told(theirs.augmentations)
    assert (ours.is_train, ours.image_format) == (False, theirs.image_format)
    fewest = cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE
    assert train.dataset.min_keypoints == (fewest if cfg.MODEL.KEYPOINT_ON else 0)
    assert train.dataset.filter_empty == cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS
    assert test.dataset.filter_empty is False
    assert train.repeat_threshold == cfg.DATALOADER.REPEAT_THRESHOLD
    assert test.num_workers == cfg.DATALOADER.NUM_WORKERS
    assert lazy.dataloader.evaluator.dataset_name == test.dataset.names
    assert lazy.dataloader.evaluator.output_dir == f"{cfg.OUTPUT_DIR}/inference"


def check_same_settings(lazy, cfg):
    found = read_settings(lazy)
    for key in PATHS:
        ours, theirs = found, cfg
        for word in key.split("."):
            ours, theirs = ours[word], theirs[word]
        head = key.startswith("MODEL.ROI_KEYPOINT_HEAD") and not cfg.MODEL.KEYPOINT_ON
        assert head or ours == theirs, key


@pytest.mark.parametrize("name", NAMES)
def test_the_same_training_data_and_evaluation(name):
    lazy, cfg = both(name)
    assert set(lazy) == {"dataloader", "lr_multiplier", "model", "optimizer", "train"}
    check_same_solver(lazy, cfg)
    check_same_data(lazy, cfg)
    check_same_settings(lazy, cfg)


CHANGED = """
MODEL:
  PIXEL_MEAN: [100.0, 110.0, 120.0]
  PIXEL_STD: [50.0, 51.0, 52.0]
  ANCHOR_GENERATOR: {SIZES: [[16, 20], [32, 40], [64, 80], [96, 120], [128, 160]],
    ASPECT_RATIOS: [[0.5, 1.0]], OFFSET: 0.5}
  RESNETS: {DEPTH: 50, STEM_OUT_CHANNELS: 32, RES2_OUT_CHANNELS: 128, NUM_GROUPS: 2,
    WIDTH_PER_GROUP: 8, STRIDE_IN_1X1: False}
  BACKBONE: {FREEZE_AT: 1}
  FPN: {OUT_CHANNELS: 32, NORM: "", FUSE_TYPE: "avg"}
  PROPOSAL_GENERATOR: {MIN_SIZE: 3}
  RPN: {CONV_DIMS: [16, 24], POSITIVE_FRACTION: 0.4, NMS_THRESH: 0.6, LOSS_WEIGHT: 2.0,
    BBOX_REG_LOSS_WEIGHT: 3.0, BBOX_REG_LOSS_TYPE: "giou", BBOX_REG_WEIGHTS: [1.0, 2.0, 3.0, 4.0],
    SMOOTH_L1_BETA: 0.3, BOUNDARY_THRESH: 2, IOU_THRESHOLDS: [0.2, 0.6], PRE_NMS_TOPK_TRAIN: 7,
    PRE_NMS_TOPK_TEST: 8, POST_NMS_TOPK_TRAIN: 9, POST_NMS_TOPK_TEST: 6}
  ROI_HEADS: {NUM_CLASSES: 3, BATCH_SIZE_PER_IMAGE: 12, POSITIVE_FRACTION: 0.5,
    PROPOSAL_APPEND_GT: False, IOU_THRESHOLDS: [0.4], SCORE_THRESH_TEST: 0.2, NMS_THRESH_TEST: 0.4,
    IN_FEATURES: ["p3", "p4"]}
  ROI_BOX_HEAD: {POOLER_RESOLUTION: 5, POOLER_SAMPLING_RATIO: 2, POOLER_TYPE: "ROIAlign",
    NUM_CONV: 2, CONV_DIM: 32, NUM_FC: 3, FC_DIM: 24, NORM: "GN", TRAIN_ON_PRED_BOXES: True,
    BBOX_REG_WEIGHTS: [1.0, 2.0, 3.0, 4.0], CLS_AGNOSTIC_BBOX_REG: True, SMOOTH_L1_BETA: 0.7,
    BBOX_REG_LOSS_TYPE: "giou", BBOX_REG_LOSS_WEIGHT: 4.0}
  ROI_MASK_HEAD: {POOLER_RESOLUTION: 10, POOLER_SAMPLING_RATIO: 1, POOLER_TYPE: "ROIAlign",
    NUM_CONV: 1, CONV_DIM: 64, NORM: "GN", CLS_AGNOSTIC_MASK: True}
  ROI_KEYPOINT_HEAD: {POOLER_RESOLUTION: 12, POOLER_SAMPLING_RATIO: 1, POOLER_TYPE: "ROIAlign",
    NUM_KEYPOINTS: 5, CONV_DIMS: [32, 48, 32], LOSS_WEIGHT: 5.0, MIN_KEYPOINTS_PER_IMAGE: 2,
    NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS: False}
  NONLOCAL: {PRESET: "authors_code", AFTER_BLOCKS: [[], [0], [], [-1]], PAIRWISE: "dot_product",
    KERNEL: "dense", SUBSAMPLE: "none", SCALE: False, NORM: "BN", BOTTLENECK_RATIO: 0.25,
    OPERATION: "per_position", KEYPOINT_AFTER_CONVS: [1, 3]}
INPUT: {FORMAT: "RGB", MASK_FORMAT: "bitmask", RANDOM_FLIP: "none", MIN_SIZE_TRAIN: [60, 90],
  MIN_SIZE_TRAIN_SAMPLING: "range", MAX_SIZE_TRAIN: 99, MIN_SIZE_TEST: 61, MAX_SIZE_TEST: 98}
DATASETS: {TEST: ["mini_coco_keypoints_val", "mini_coco_keypoints_train"]}
DATALOADER: {NUM_WORKERS: 1, ASPECT_RATIO_GROUPING: False, FILTER_EMPTY_ANNOTATIONS: False,
  SAMPLER_TRAIN: "RepeatFactorTrainingSampler", REPEAT_THRESHOLD: 0.3}
SOLVER: {BASE_LR: 0.5, MOMENTUM: 0.8, NESTEROV: True, WEIGHT_DECAY: 0.01, WEIGHT_DECAY_NORM: 0.02,
  WEIGHT_DECAY_BIAS: 0.03, BIAS_LR_FACTOR: 2.0, GAMMA: 0.3, STEPS: [20, 40, 900], MAX_ITER: 60,
  WARMUP_FACTOR: 0.1, WARMUP_ITERS: 30, WARMUP_METHOD: "constant", IMS_PER_BATCH: 6,
  CHECKPOINT_PERIOD: 7, CLIP_GRADIENTS: {CLIP_TYPE: "value", CLIP_VALUE: 0.4}}
TEST: {DETECTIONS_PER_IMAGE: 9, EVAL_PERIOD: 11, KEYPOINT_OKS_SIGMAS: [0.5], EXPECTED_RESULTS: []}
VIS_PERIOD: 13
SEED: 5
CUDNN_BENCHMARK: True
"""


def own_twin(folder, text, base="quick/nl_mask_keypoint_rcnn_R18"):
    """Of a YAML config of one's own."""
    path = folder / "own.yaml"
    path.write_text(f'_BASE_: "{model_zoo.get_config_file(base)}"\n{text}')
    _, cfg = both(base)
    cfg.merge_from_file(str(path))
    return DictConfig(twin(str(path))._asdict(), flags={"allow_objects": True}), cfg


def test_no_key_of_a_yaml_config_is_lost(tmp_path):
    lazy, cfg = own_twin(tmp_path, CHANGED)
    lazy.train.device = "cpu"
    check_same_solver(lazy, cfg)
    check_same_data(lazy, cfg)
    check_same_settings(lazy, cfg)
    assert lazy.train.cudnn_benchmark is True
    found = check_same_model(lazy, cfg)
    assert found["roi_heads.keypoint_head.nl1"][0] == "PerPositionBlock"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("INPUT: {CROP: {ENABLED: True}}", "of INPUT.CROP.ENABLED=True; leave these keys at"),
        ("MODEL: {RESNETS: {RES5_DILATION: 2}}", "MODEL.RESNETS.RES5_DILATION=2"),
        ("SOLVER: {LR_SCHEDULER_NAME: WarmupCosineLR}", "LR_SCHEDULER_NAME='WarmupCosineLR'"),
        ("MODEL: {ROI_HEADS: {NAME: Res5ROIHeads}}", "MODEL.ROI_HEADS.NAME='Res5ROIHeads' has no"),
        ("MODEL: {BACKBONE: {NAME: build_resnet_backbone}}", "it has for 'build_resnet_fpn"),
        ("MODEL: {ROI_BOX_HEAD: {NUM_FC: 0}}", "MODEL.ROI_BOX_HEAD.NUM_FC=0 has no LazyConfig"),
    ],
)
def test_what_has_no_lazy_form_is_refused(tmp_path, text, said):
    with pytest.raises(ValueError, match=said):
        own_twin(tmp_path, text)


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
