"""No key of a YAML config is lost in its LazyConfig: it acts there, or it is refused."""

import pytest
from lazy_twins import (
    both,
    check_same_data,
    check_same_model,
    check_same_settings,
    check_same_solver,
)
from omegaconf import DictConfig

from nonlocal_det import model_zoo
from nonlocal_det.training.lazy import twin

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
