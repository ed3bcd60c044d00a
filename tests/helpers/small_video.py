"""A config of a small video model of three classes, clips of 4 frames."""

from detectron2.config import CfgNode, get_cfg

from nonlocal_det.detection import add_nonlocal_config
from nonlocal_det.video import add_video_config


def config(*options) -> CfgNode:
    cfg = get_cfg()
    add_nonlocal_config(cfg)
    add_video_config(cfg)
    cfg.merge_from_list(
        [
            *("MODEL.META_ARCHITECTURE", "VideoClassifier", "MODEL.DEVICE", "cpu"),
            *("MODEL.BACKBONE.NAME", "build_nonlocal_video_resnet_backbone"),
            *("MODEL.BACKBONE.FREEZE_AT", 0, "MODEL.RESNETS.NORM", "BN"),
            *("MODEL.RESNETS.DEPTH", 18, "MODEL.RESNETS.OUT_FEATURES", ["res5"]),
            *("MODEL.PIXEL_MEAN", [114.75] * 3, "MODEL.PIXEL_STD", [57.375] * 3),
            *("MODEL.VIDEO.NUM_CLASSES", 3, "MODEL.VIDEO.STEM", "slowfast"),
            *("INPUT.VIDEO.FRAMES", 4, "INPUT.VIDEO.STRIDE", 2, "INPUT.VIDEO.CROP", 32),
            *("INPUT.VIDEO.MIN_SIZE_TRAIN", 32, "INPUT.VIDEO.MAX_SIZE_TRAIN", 40),
            *("INPUT.VIDEO.TEST_SIZE", 32, "INPUT.VIDEO.TEST_CLIPS", 2),
            *options,
        ]
    )
    return cfg
