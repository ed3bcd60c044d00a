"""The command's behaviour around a training of a few iterations on the CPU."""

import json
import sys
import time

import pytest
from detectron2.modeling import build_model
from small_models import small_config
from tiny_training import load, result, run, same
from torch import nn
from trained_model import NAME, save_weights

from nonlocal_det.data import register_coco_data
from nonlocal_det.synthetic.register import forget
from nonlocal_det.training.checks import check_model
from nonlocal_det.training.result import InferenceTimer, _peak_memory

BOXES = ["MODEL.KEYPOINT_ON", "False", "MODEL.MASK_ON", "False"]


def test_train_resume_and_evaluate(mini_coco, tmp_path, messages):
    results = run(tmp_path, "--resume")
    assert set(results) == {"bbox", "segm", "keypoints"}
    said = "\n".join(messages())
    assert f"--resume: there is no checkpoint in {tmp_path}" in said
    assert "5 non-local blocks: backbone.bottom_up.res4.nl0" in said
    assert (tmp_path / "model_final.pth").is_file()
    assert list(tmp_path.glob("events.out.tfevents.*"))
    said = result(tmp_path)
    assert said["metrics"]["bbox"]["AP"] == results["bbox"]["AP"]
    assert said["metrics"]["bbox"]["APl"] is None  # no such object: json has no nan
    assert (said["iterations"], said["first_iteration"], said["seed"]) == (2, 0, 1)
    assert said["s_per_iter"] is None  # too few
    assert 0 < said["s_per_image"] < 60
    assert 100 < said["memory_mib"] < 100_000

    run(tmp_path, "--resume", iterations=5)
    assert (result(tmp_path)["iterations"], result(tmp_path)["first_iteration"]) == (5, 2)
    again = run(tmp_path, "--eval-only", "MODEL.WEIGHTS", str(tmp_path / "model_final.pth"))
    resumed = run(tmp_path, "--eval-only", "--resume")
    assert again.keys() == resumed.keys()
    assert str(again) == str(resumed)  # nan is not equal to itself


def test_a_checkpoint_whose_name_was_not_written_is_found(mini_coco, tmp_path, messages):
    options = ["SOLVER.CHECKPOINT_PERIOD", "1", "DATASETS.TEST", "()"]
    run(tmp_path, *options)
    (tmp_path / "model_final.pth").unlink()
    (tmp_path / "last_checkpoint").write_text("")  # killed between opening and writing it
    run(tmp_path, "--resume", *options, iterations=3)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / "last_checkpoint").write_text("")
    with pytest.raises(FileNotFoundError, match="remove it to start anew"):
        run(tmp_path / "nothing", "--resume")
    assert any("continuing from model_0000001.pth" in message for message in messages())
    assert result(tmp_path)["first_iteration"] == 2


def test_options_for_blocks_that_are_not_there_are_refused_or_warned_of(messages):
    options = ["MODEL.BACKBONE.NAME", "build_resnet_fpn_backbone", "MODEL.KEYPOINT_ON", False]
    options += ["MODEL.NONLOCAL.PAIRWISE", "gaussian"]
    cfg = small_config(NAME, *options)
    with pytest.raises(ValueError, match="has no non-local block") as error:
        check_model(cfg, build_model(cfg), f"configs/{NAME}.yaml")
    assert "build_resnet_fpn_backbone" in str(error.value)
    assert "MODEL.KEYPOINT_ON=False" in str(error.value)
    check_model(cfg, build_model(cfg), "mask_rcnn.yaml")
    assert "MODEL.NONLOCAL was changed" in messages()[-1]


def test_results_below_the_floor_end_the_process(mini_coco, tmp_path, messages):
    expected = ["TEST.EXPECTED_RESULTS", "[['bbox', 'AP', 80.0, 20.0]]"]
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, "--eval-only", *expected)
    assert stop.value.code == 1
    assert any("evaluating with no weights" in message for message in messages())


@pytest.mark.parametrize("mode", [["--eval-only"], []])
def test_test_time_augmentation_adds_its_results(mini_coco, tmp_path, mode):
    options = ["MODEL.KEYPOINT_ON", "False", "TEST.AUG.ENABLED", "True"]
    options += ["TEST.AUG.MIN_SIZES", "(64,)"]
    results = run(tmp_path, *mode, *options, iterations=1)
    logged = (tmp_path / "log.txt").read_text()
    assert "inference_TTA/coco_instances_results.json" in logged
    if mode:
        assert set(results) == {"bbox", "segm", "bbox_TTA", "segm_TTA"}


def test_a_drawn_seed_is_written_and_repeats_the_run(mini_coco, tmp_path):
    """On data that only has a long-range name: it is a user's."""
    annotations = mini_coco / "mini_coco" / "annotations" / "person_keypoints_val2017.json"
    register_coco_data("long_range_mine_test", annotations, mini_coco / "mini_coco" / "val2017")
    options = ["DATASETS.TEST", "('long_range_mine_test',)", *BOXES]
    try:
        run(tmp_path / "drawn", *options, "SEED", "-1", iterations=1)
    finally:
        forget("long_range_mine_test")
    drawn = result(tmp_path / "drawn")
    assert drawn["by_distance"] is None
    assert drawn["seed"] >= 0
    options[1] = "()"
    run(tmp_path / "repeated", *options, "SEED", str(drawn["seed"]), iterations=1)
    assert same(load(tmp_path / "repeated")["model"], load(tmp_path / "drawn")["model"])


def test_memory_is_not_measured_where_python_cannot(monkeypatch):
    """As on Windows."""
    monkeypatch.setitem(sys.modules, "resource", None)
    assert _peak_memory("cpu") is None


class Slow(nn.Module):
    def forward(self, images):
        time.sleep(0.05 * len(images))


def test_the_time_of_an_image_is_taken_in_evaluation_alone():
    model = Slow()
    timer = InferenceTimer(model)
    model.train()([0] * 5)
    model.eval()([])
    assert timer.s_per_image is None
    for _ in range(3):
        model([0] * 4)
    assert 0.05 <= timer.s_per_image < 0.15


@pytest.fixture
def weights(tmp_path):
    return str(save_weights(tmp_path / "w.pth", NAME))


def test_an_evaluation_needs_its_weights_and_no_training_data(mini_coco, tmp_path, weights):
    options = ["DATASETS.TRAIN", "('coco_2017_train',)", "MODEL.WEIGHTS", weights]
    assert set(run(tmp_path, "--eval-only", *options)) == {"bbox", "segm", "keypoints"}
    options += ["MODEL.NONLOCAL.AFTER_BLOCKS", "[[], [], [0, 1], []]"]
    with pytest.raises(ValueError, match=r"another model: .*missing.*res4\.nl1.*--allow-unmatched"):
        run(tmp_path, "--eval-only", *options)


def test_a_test_set_without_annotations_gets_predictions_and_no_metrics(
    mini_coco, tmp_path, weights
):
    path = mini_coco / "mini_coco" / "annotations" / "person_keypoints_val2017.json"
    content = json.loads(path.read_text())
    del content["annotations"]
    (tmp_path / "image_info.json").write_text(json.dumps(content))
    root = mini_coco / "mini_coco" / "val2017"
    register_coco_data("secret", tmp_path / "image_info.json", root)
    options = ["DATASETS.TEST", "('secret',)", "MODEL.WEIGHTS", weights, "DATASETS.TRAIN", "()"]
    options += ["MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.0"]
    assert not run(tmp_path, "--eval-only", *options)
    predictions = json.loads((tmp_path / "inference/coco_instances_results.json").read_text())
    assert {row["image_id"] for row in predictions} <= {row["id"] for row in content["images"]}
    assert predictions
    forget("secret")
