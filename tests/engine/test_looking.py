"""Which cells a block is asked about, and which pixels the answer is of."""

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from small_models import small_config

from nonlocal_det.engine.looking import build_predictor, find_attention
from nonlocal_det.modeling import nonlocal_blocks
from nonlocal_det.visualization import record_inputs

IMAGE = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
EXACT = ["INPUT.MIN_SIZE_TEST", 64, "INPUT.MAX_SIZE_TEST", 96]


@pytest.fixture
def predictor(tmp_path):
    def build(name, *options):
        cfg = small_config(name, *EXACT, *options)
        checkpoint = tmp_path / "model.pth"
        torch.manual_seed(0)
        torch.save({"model": build_model(cfg).state_dict()}, checkpoint)
        return build_predictor(cfg, checkpoint)

    return build


def test_the_control_looks_at_the_position_whose_field_is_around_the_point(predictor):
    model = predictor("long_range/control_beacon_R18")
    (name,) = nonlocal_blocks(model.model)
    for x, column in ((0.5, 0), (8.4, 0), (8.6, 1), (24.4, 1), (24.6, 2), (95.5, 5)):
        found = find_attention(model, IMAGE, (x, 16.5), name)
        assert found.weights.shape == (4, 6)  # 64 x 96 pixels at stride 16
        assert found.weights.nonzero().tolist() == [[1, column]]
        # position i is around pixel 16 i, whose middle is at 16 i + 1/2
        assert found.extent == (-7.5, -7.5, 88.5, 56.5)


def test_keys_of_two_cells_cover_the_same_pixels(predictor):
    model = predictor("long_range/nl_beacon_R18")
    (name,) = nonlocal_blocks(model.model)
    found = find_attention(model, IMAGE, (48.5, 16.5), name)
    assert found.weights.shape == (2, 3)
    assert found.extent == (-7.5, -7.5, 88.5, 56.5)
    assert float(found.weights.sum()) == pytest.approx(1, abs=1e-5)
    assert found.point == (48.5, 16.5)
    np.testing.assert_array_equal(found.image, IMAGE[:, :, ::-1])
    larger = predictor("long_range/nl_beacon_R18", "INPUT.MIN_SIZE_TEST", 128)
    larger.aug.max_size = 192
    assert find_attention(larger, IMAGE, (20, 10), name).point == (40, 20)


def test_a_block_of_the_head_looks_over_the_best_region(predictor):
    model = predictor("quick/nl_mask_keypoint_rcnn_R18")
    name = [n for n in nonlocal_blocks(model.model) if "keypoint_head" in n][-1]
    best = model(IMAGE)["instances"].pred_boxes.tensor[0].tolist()
    with record_inputs(model.model) as inputs:
        model(IMAGE)
    rows = nonlocal_blocks(model.model)[name].attention(inputs[name], (0, 13)).detach()
    assert (rows[-1] - rows[0]).abs().max() > 1e-2  # regions do differ
    found = find_attention(model, IMAGE, (best[2] + 5, best[1] - 5), name)  # outside of it
    torch.testing.assert_close(found.weights, rows[0])
    assert found.extent == pytest.approx(best, abs=1e-3)
    assert found.weights.shape == (7, 7)  # 14 x 14, subsampled


def test_no_region_is_said(predictor):
    model = predictor("quick/nl_mask_keypoint_rcnn_R18")
    model.model.roi_heads.box_predictor.test_score_thresh = 1.0
    name = [n for n in nonlocal_blocks(model.model) if "keypoint_head" in n][-1]
    with pytest.raises(ValueError, match=r"nothing was detected, so block .*nl8"):
        find_attention(model, IMAGE, (5, 5), name)
