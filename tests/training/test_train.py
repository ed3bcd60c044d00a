"""The command's behaviour around a training of a few iterations on the CPU."""

import json
import sys

import pytest
import torch
from tiny_training import run
from trained_model import NAME, save_weights

from nonlocal_det.data import register_coco_data
from nonlocal_det.synthetic.register import forget
from nonlocal_det.training.result import _peak_memory


def iterations_of(out) -> list[int]:
    lines = (out / "metrics.json").read_text().splitlines()
    return [json.loads(line)["iteration"] for line in lines]


def test_train_resume_and_evaluate(mini_coco, tmp_path, messages):
    results = run(tmp_path, "--resume")
    assert set(results) == {"bbox", "segm", "keypoints"}
    said = "\n".join(messages())
    assert f"--resume: there is no checkpoint in {tmp_path}" in said
    assert "5 non-local blocks: backbone.bottom_up.res4.nl0" in said
    assert (tmp_path / "model_final.pth").is_file()
    assert list(tmp_path.glob("events.out.tfevents.*"))
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["metrics"]["bbox"]["AP"] == results["bbox"]["AP"]
    assert result["metrics"]["bbox"]["APl"] is None  # no such object: json has no nan
    assert (result["iterations"], result["first_iteration"], result["seed"]) == (2, 0, 1)
    assert result["s_per_iter"] is None  # too few
    assert 0 < result["s_per_image"] < 60
    assert 100 < result["memory_mib"] < 100_000

    run(tmp_path, "--resume", iterations=5)
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["iterations"], result["first_iteration"]) == (5, 2)
    log = (tmp_path / "log.txt").read_text()
    assert "Starting training from iteration 2" in log

    again = run(tmp_path, "--eval-only", "MODEL.WEIGHTS", str(tmp_path / "model_final.pth"))
    resumed = run(tmp_path, "--eval-only", "--resume")
    assert again.keys() == resumed.keys()
    assert str(again) == str(resumed)  # nan is not equal to itself


def test_a_checkpoint_whose_name_was_not_written_is_found(mini_coco, tmp_path, messages):
    run(tmp_path, "SOLVER.CHECKPOINT_PERIOD", "1")
    (tmp_path / "model_final.pth").unlink()
    (tmp_path / "last_checkpoint").write_text("")  # killed between opening and writing it
    run(tmp_path, "--resume", iterations=3)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / "last_checkpoint").write_text("")
    with pytest.raises(FileNotFoundError, match="remove it to start anew"):
        run(tmp_path / "nothing", "--resume")
    assert any("continuing from model_0000001.pth" in message for message in messages())
    assert "Starting training from iteration 2" in (tmp_path / "log.txt").read_text()


def test_evaluating_without_weights_warns(mini_coco, tmp_path, messages):
    run(tmp_path, "--eval-only")
    assert any("evaluating with no weights" in message for message in messages())


def test_a_nonlocal_config_without_a_block_is_refused(mini_coco, tmp_path):
    options = ["MODEL.BACKBONE.NAME", "build_resnet_fpn_backbone", "MODEL.KEYPOINT_ON", "False"]
    with pytest.raises(ValueError, match="has no non-local block") as error:
        run(tmp_path, *options)
    assert "build_resnet_fpn_backbone" in str(error.value)
    assert "MODEL.KEYPOINT_ON=False" in str(error.value)


def test_options_for_blocks_that_are_not_there_warn(mini_coco, tmp_path, messages):
    run(
        tmp_path,
        "--eval-only",
        *("MODEL.NONLOCAL.PAIRWISE", "gaussian"),
        config="quick/mask_keypoint_rcnn_R18",
    )
    assert any("MODEL.NONLOCAL was changed" in message for message in messages())


def test_results_below_the_floor_end_the_process(mini_coco, tmp_path):
    expected = ["TEST.EXPECTED_RESULTS", "[['bbox', 'AP', 80.0, 20.0]]"]
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, "--eval-only", *expected)
    assert stop.value.code == 1


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
    options = ["DATASETS.TEST", "()", "MODEL.KEYPOINT_ON", "False", "MODEL.MASK_ON", "False"]
    run(tmp_path / "drawn", *options, "SEED", "-1", iterations=1)
    seed = json.loads((tmp_path / "drawn" / "result.json").read_text())["seed"]
    assert seed >= 0
    run(tmp_path / "repeated", *options, "SEED", str(seed), iterations=1)
    drawn, repeated = (
        torch.load(tmp_path / name / "model_final.pth", weights_only=True)["model"]
        for name in ("drawn", "repeated")
    )
    assert all(torch.equal(repeated[name], value) for name, value in drawn.items())


def test_data_that_only_has_a_long_range_name_is_a_users(mini_coco, tmp_path):
    annotations = mini_coco / "mini_coco" / "annotations" / "person_keypoints_val2017.json"
    register_coco_data("long_range_mine_test", annotations, mini_coco / "mini_coco" / "val2017")
    options = ["DATASETS.TEST", "('long_range_mine_test',)", "MODEL.KEYPOINT_ON", "False"]
    try:
        run(tmp_path, *options, "MODEL.MASK_ON", "False", iterations=1)
    finally:
        forget("long_range_mine_test")
    assert json.loads((tmp_path / "result.json").read_text())["by_distance"] is None


def test_memory_is_not_measured_where_python_cannot(monkeypatch):
    """As on Windows."""
    monkeypatch.setitem(sys.modules, "resource", None)
    assert _peak_memory("cpu") is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["MODEL.ROI_HEADS.NUM_CLASSES", "3"], ["box_predictor.cls_score", "--allow-unmatched"]),
        (["MODEL.BACKBONE.NAME", "build_resnet_fpn_backbone"], ["res4.nl0", "unexpected"]),
        (["MODEL.NONLOCAL.AFTER_BLOCKS", "[[], [], [0, 1], []]"], ["res4.nl1", "missing"]),
    ],
)
def test_an_evaluation_of_another_models_weights_is_refused(mini_coco, tmp_path, options, words):
    weights = save_weights(tmp_path / "w.pth", NAME)
    options += ["MODEL.WEIGHTS", str(weights)]
    with pytest.raises(ValueError, match="another model") as error:
        run(tmp_path, "--eval-only", *options)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.fixture
def weights(tmp_path):
    return str(save_weights(tmp_path / "w.pth", NAME))


@pytest.mark.parametrize("train", ["()", "('coco_2017_train',)"])
def test_an_evaluation_needs_no_training_data(mini_coco, tmp_path, weights, train):
    options = ["DATASETS.TRAIN", train, "MODEL.WEIGHTS", weights]
    assert set(run(tmp_path, "--eval-only", *options)) == {"bbox", "segm", "keypoints"}


def test_a_test_set_without_annotations_gets_predictions_and_no_metrics(
    mini_coco, tmp_path, weights
):
    path = mini_coco / "mini_coco" / "annotations" / "person_keypoints_val2017.json"
    content = json.loads(path.read_text())
    del content["annotations"]
    (tmp_path / "image_info.json").write_text(json.dumps(content))
    root = str(mini_coco / "mini_coco" / "val2017")
    register_coco_data("secret", tmp_path / "image_info.json", root)
    options = ["DATASETS.TEST", "('secret',)", "MODEL.WEIGHTS", weights]
    options += ["MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.0"]
    assert not run(tmp_path, "--eval-only", *options)
    predictions = json.loads((tmp_path / "inference/coco_instances_results.json").read_text())
    assert {row["image_id"] for row in predictions} <= {row["id"] for row in content["images"]}
    assert predictions
    forget("secret")
