import math

import model as benchmark
import pytest
import torch
from model import ModelCase, measure_model

from nonlocal_det.configs import load_config

SMALL = {"height": 96, "width": 128, "threads": torch.get_num_threads()}


def small(name):
    cfg = load_config(name)
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.99  # few would be kept, and not equally many
    return cfg


@pytest.mark.parametrize("training", [False, True])
def test_a_detector_is_measured_without_data(training):
    cfg = small("quick/nl_mask_keypoint_rcnn_R18")
    result = measure_model(ModelCase(cfg.dump(), training, **SMALL), seconds=0.1)
    assert result.seconds > 0
    assert math.isfinite(result.mebibytes)  # a fresh process makes it a peak


def test_both_detectors_do_equal_work_in_an_inference(monkeypatch):
    boxes = []
    build_model = benchmark.build_model

    def watched(cfg):
        model = build_model(cfg)
        model.roi_heads.register_forward_hook(lambda m, i, out: boxes.append(out[0][0].pred_boxes))
        return model

    monkeypatch.setattr(benchmark, "build_model", watched)
    for name in ("quick/mask_keypoint_rcnn_R18", "quick/nl_mask_keypoint_rcnn_R18"):
        measure_model(ModelCase(small(name).dump(), False, **SMALL), seconds=0.01)
    assert len(boxes[0]) > 10
    assert torch.equal(boxes[0].tensor, boxes[-1].tensor)


def test_bad_counts_are_named(capsys):
    words = ["--config-file", "mask_rcnn_R50", "--against", "mask_rcnn_R50", "--rounds", "0"]
    with pytest.raises(SystemExit):
        benchmark.main(words)
    assert "--rounds 0" in capsys.readouterr().err
