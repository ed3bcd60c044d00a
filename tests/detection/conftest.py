"""The two detectors that every twin test compares."""

import pytest
from detectron2.config import CfgNode
from small_models import RESNEXT, small_config


@pytest.fixture(params=["R18", "X50"])
def twins(request) -> tuple[CfgNode, CfgNode]:
    """The configs of a non-local detector and of its baseline."""
    options = RESNEXT if request.param == "X50" else []
    return (
        small_config("quick/nl_mask_keypoint_rcnn_R18", *options),
        small_config("quick/mask_keypoint_rcnn_R18", *options),
    )
