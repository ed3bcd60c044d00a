"""Small detectors with every head, for the tests of the models."""

from detectron2.config import CfgNode

from nonlocal_det import model_zoo


def small_config(name: str = "quick/nl_mask_keypoint_rcnn_R18", *options: object) -> CfgNode:
    cfg = model_zoo.get_config(name)
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0  # random weights: keep what there is
    cfg.TEST.DETECTIONS_PER_IMAGE = 10
    cfg.merge_from_list(list(options))
    return cfg


RESNEXT = ["MODEL.RESNETS.DEPTH", 50, "MODEL.RESNETS.RES2_OUT_CHANNELS", 256]
RESNEXT += ["MODEL.RESNETS.NUM_GROUPS", 32, "MODEL.RESNETS.WIDTH_PER_GROUP", 8]
RESNEXT += ["MODEL.RESNETS.STRIDE_IN_1X1", False]
