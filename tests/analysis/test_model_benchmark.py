import pytest
import torch

from nonlocal_det.analysis.model_benchmark import ModelCase, compare_models, measure
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
    result = measure(ModelCase(cfg.dump(), training, **SMALL), repeats=2)
    assert result.seconds > 0
    assert result.mebibytes > 0


def test_twins_do_equal_work_in_an_inference(monkeypatch):
    from nonlocal_det.analysis import model_benchmark

    found = []
    built = model_benchmark.build_model

    def watched(cfg):
        model = built(cfg)
        model.roi_heads.register_forward_hook(lambda m, i, out: found.append(out[0][0]))
        return model

    monkeypatch.setattr(model_benchmark, "build_model", watched)
    for name in ("quick/mask_keypoint_rcnn_R18", "quick/nl_mask_keypoint_rcnn_R18"):
        measure(ModelCase(small(name).dump(), False, **SMALL), repeats=1)
    baseline, twin = found[0], found[-1]
    assert len(baseline) > 10
    assert torch.equal(baseline.pred_boxes.tensor, twin.pred_boxes.tensor)


def test_bad_counts_are_named():
    cfg = small("quick/mask_keypoint_rcnn_R18")
    with pytest.raises(ValueError, match="rounds=0"):
        compare_models(cfg, cfg, training=False, rounds=0)
