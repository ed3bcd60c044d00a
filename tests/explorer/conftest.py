"""A model with blocks and its baseline, with random weights, as they are explored."""

import pytest
from small_models import small_config
from trained_model import NAME, SMALL, load_detector, save_weights

from nonlocal_det.explorer import ExplorerModel
from nonlocal_det.inference.detector import Detector

BASELINE = "quick/mask_keypoint_rcnn_R18"
VIDEO = "video/quick/nl_i3d_R18"


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return save_weights(tmp_path_factory.mktemp("weights") / "model_final.pth")


@pytest.fixture(scope="session")
def baseline_weights(tmp_path_factory):
    return save_weights(tmp_path_factory.mktemp("weights") / "baseline.pth", BASELINE)


@pytest.fixture(scope="session")
def video_weights(tmp_path_factory):
    return save_weights(tmp_path_factory.mktemp("weights") / "video.pth", VIDEO)


@pytest.fixture(scope="session")
def model(weights):
    return ExplorerModel("nl", load_detector(weights))


@pytest.fixture(scope="session")
def baseline(baseline_weights):
    return ExplorerModel("baseline", Detector(small_config(BASELINE, *SMALL), baseline_weights))


@pytest.fixture(scope="session")
def name():
    return NAME
