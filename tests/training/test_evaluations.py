"""What evaluations have beside the metrics: losses, averaged weights, an early stop."""

import pytest
import torch
from killed_training import DETECTOR
from tiny_training import TIMES, config, lay_checkpoint, load, result, run, same

from nonlocal_det.data import build_test_loader, build_validation_loader
from nonlocal_det.training import Trainer
from nonlocal_det.training.evaluations import validate
from nonlocal_det.training.options import TrainingOptions
from nonlocal_det.visualization import draw_losses, read_metrics

EVERY = ("TEST.EVAL_PERIOD", "1", "SOLVER.CHECKPOINT_PERIOD", "1")
MOVING = ("MODEL.RESNETS.NORM", "BN", "MODEL.BACKBONE.FREEZE_AT", "0")


def rows(folder) -> list[dict[str, float]]:
    return read_metrics(folder / "metrics.json")


def test_validation_losses_leave_the_training_as_it_was(mini_coco, tmp_path):
    for name, flags in (("with", ["--val-loss"]), ("without", [])):
        trained = ("DATASETS.TRAIN", "('mini_coco_keypoints_val',)")
        run(tmp_path / name, *flags, *EVERY, *MOVING, *trained)
    assert same(load(tmp_path / "with")["model"], load(tmp_path / "without")["model"])
    logged, expected = rows(tmp_path / "with"), rows(tmp_path / "without")
    last = logged[-1]
    parts = {name for name in last if name.startswith("validation/loss_")}
    assert {"validation/loss_cls", "validation/loss_keypoint", "validation/loss_mask"} <= parts
    assert last["validation/total_loss"] == pytest.approx(sum(last[name] for name in parts))
    assert result(tmp_path / "with")["metrics"]["validation"]["loss_cls"] > 0
    unlike = {key for key in last if not key.startswith("validation/")} - TIMES
    assert {key: last[key] for key in unlike} == {key: expected[-1][key] for key in unlike}


def test_the_curves_have_the_validation_loss(tmp_path):
    rows = [{"iteration": 19, "total_loss": 2.0}, {"iteration": 39, "total_loss": 1.0}]
    alone = draw_losses(rows, tmp_path / "alone.png").read_bytes()
    rows.append({"iteration": 40, "validation/total_loss": 1.5})  # as after the training
    assert draw_losses(rows, tmp_path / "both.png").read_bytes() != alone


def test_validation_losses_are_of_the_weights_only(mini_coco, tmp_path):
    trainer = Trainer(config("OUTPUT_DIR", str(tmp_path)))
    losses = [validate(trainer) for _ in range(2)]  # proposals are sampled alike
    assert losses[0] == losses[1]
    assert trainer.model.training
    assert all(parameter.grad is None for parameter in trainer.model.parameters())


def test_a_validation_loader_gives_the_tests_images_with_their_truth(mini_coco):
    cfg = config("INPUT.CROP.ENABLED", "True")
    (name,) = cfg.DATASETS.TEST
    for ours, tests in zip(
        build_validation_loader(cfg, name), build_test_loader(cfg, name), strict=True
    ):
        assert torch.equal(ours[0]["image"], tests[0]["image"])
        assert ours[0]["image_id"] == tests[0]["image_id"]
        assert ours[0]["instances"].has("gt_masks")


def test_a_set_without_annotations_has_no_losses(mini_coco, monkeypatch):
    from detectron2.data import build_detection_test_loader, get_detection_dataset_dicts

    cfg = config()
    (name,) = cfg.DATASETS.TEST
    records = [{**one, "annotations": []} for one in get_detection_dataset_dicts(name, False)]
    monkeypatch.setattr(
        build_detection_test_loader, "from_config", lambda *_: {"dataset": records, "mapper": None}
    )
    assert build_validation_loader(cfg, name) is None


STOP = ("--early-stop=lr:min", "--patience=2", *EVERY, *DETECTOR)  # it rises in the warm-up


def test_a_training_without_progress_ends_early_also_after_a_kill(mini_coco, tmp_path):
    whole = tmp_path / "whole"
    run(whole, *STOP, iterations=8)
    done = result(whole)
    assert done["iterations"] == 3
    assert "--early-stop: lr has not been better than" in done["early_stop"]
    assert "ended after 3 of 8 iterations" in done["early_stop"]
    assert done["early_stop"] in (whole / "log.txt").read_text()
    final = load(whole)
    assert final["iteration"] == 2
    assert (whole / "last_checkpoint").read_text() == "model_final.pth"

    for number in (1, 2):
        killed = tmp_path / str(number)
        lay_checkpoint(killed, whole, number)
        run(killed, "--resume", *STOP, iterations=8)
        assert result(killed)["iterations"] == 3
        assert same(load(killed)["model"], final["model"])
        assert result(killed)["metrics"] == done["metrics"]

    run(whole, "--resume", *STOP, iterations=8)  # it has ended, and stays so
    assert result(whole)["iterations"] == 3
    run(whole, "--resume", "--patience=3", *STOP[:1], *EVERY, *DETECTOR, iterations=8)
    assert result(whole)["iterations"] == 4
    run(whole, "--resume", *EVERY, *DETECTOR, iterations=5)
    assert (result(whole)["iterations"], result(whole)["early_stop"]) == (5, "")


def test_averaged_weights_are_evaluated_and_saved_also_after_a_kill(mini_coco, tmp_path, messages):
    whole = tmp_path / "whole"
    options = ("--ema=0.5", *EVERY, *MOVING, *DETECTOR)
    run(whole, *options, iterations=4)
    average = load(whole, "model_ema_final")["model"]
    expected = None
    for number in range(4):
        weights = load(whole, f"model_{number:07d}")["model"]
        floats = {name: value for name, value in weights.items() if value.is_floating_point()}
        expected = expected or floats
        expected = {name: torch.lerp(expected[name], floats[name], 0.5) for name in floats}
    for name, value in expected.items():
        torch.testing.assert_close(average[name], value)
    assert not same(average, load(whole)["model"])
    metrics = result(whole)["metrics"]
    assert set(metrics) == {
        f"{task}{end}" for task in ("bbox", "segm", "keypoints") for end in ("", "_EMA")
    }
    assert "bbox_EMA/AP" in rows(whole)[-1]
    weights = ("MODEL.WEIGHTS", str(whole / "model_ema_final.pth"))
    alone = run(tmp_path / "alone", "--eval-only", *MOVING, *DETECTOR, *weights)
    assert alone["bbox"]["AP"] == metrics["bbox_EMA"]["AP"]

    killed = tmp_path / "killed"
    lay_checkpoint(killed, whole, 1)
    run(killed, "--resume", *options, iterations=4)
    assert same(load(killed, "model_ema_final")["model"], average)
    assert result(killed)["inexact"] == []

    late = tmp_path / "late"
    lay_checkpoint(late, whole, 1)
    run(late, "--resume", "--ema=0.9", *options[1:], iterations=3)
    assert result(late)["inexact"] == ["from iteration 2 --ema is 0.9, not 0.5"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ema": 1.5}, "--ema 1.5: expected a number between 0 and 1"),
        ({"early_stop": "bbox/AP:best"}, "--early-stop bbox/AP:best: expected METRIC"),
        ({"early_stop": "bbox/AP", "patience": 0}, "--patience 0: expected 1 or more"),
        ({"early_stop": "bbox/AP"}, "TEST.EVAL_PERIOD=0 evaluates at the end only"),
    ],
)
def test_options_that_cannot_work_are_refused(mini_coco, tmp_path, wrong, words):
    period = "0" if "EVAL_PERIOD" in words else "1"
    cfg = config("OUTPUT_DIR", str(tmp_path), "TEST.EVAL_PERIOD", period)
    with pytest.raises(ValueError, match=words):
        Trainer(cfg, options=TrainingOptions(**wrong))
