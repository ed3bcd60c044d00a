"""The command that trains LazyConfigs: Detectron2's, with the checkpoints and checks from here."""

import json

import pytest

from nonlocal_det.checkpoint import read_checkpoint
from nonlocal_det.cli import train_lazy
from nonlocal_det.data import register_coco_data
from nonlocal_det.data.coco_data import forget
from nonlocal_det.visualization import read_metrics

TINY = [
    *("dataloader.train.total_batch_size=2", "train.max_iter=2", "train.log_period=1"),
    "dataloader.train.mapper.augmentations.0.short_edge_length=[64]",
    "dataloader.test.mapper.augmentations.0.short_edge_length=64",
]


def command(out, *words):
    options = [word for word in words if word.startswith("--")]
    overrides = [word for word in words if not word.startswith("--")]
    name = "lazy/quick/nl_mask_keypoint_rcnn_R18.py"  # as from a wheel
    return ["--config-file", name, *options, *TINY, f"train.output_dir={out}", *overrides]


def test_it_trains_resumes_and_evaluates(mini_coco, tmp_path):
    train_lazy.main(command(tmp_path))
    train_lazy.main(command(tmp_path, "--resume", "train.max_iter=3"))
    rows = [row for row in read_metrics(tmp_path / "metrics.json") if "total_loss" in row]
    assert [row["iteration"] for row in rows] == [0, 1, 2]
    assert read_checkpoint(tmp_path / "model_final.pth")["trainer"]["optimizer"]["state"]

    weights = f"train.init_checkpoint={tmp_path / 'model_final.pth'}"
    train_lazy.main(command(tmp_path / "eval", "--eval-only", weights))
    log = (tmp_path / "eval" / "log.txt").read_text()
    assert "Start inference on 4" in log
    assert "Starting training" not in log


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lr=0.0", "identity for ever"),
        ("train.max_iters=5", "train.max_iters"),
        ("modle.backbone.options.pairwise=gaussian", "modle"),
        ("dataloader.train.dataset.names=coco_2017_train", "there is no datasets/coco.*DATASETS"),
    ],
)
def test_what_could_not_work_is_refused_in_a_line(mini_coco, tmp_path, override, message):
    with pytest.raises(SystemExit, match=message):
        train_lazy.main(command(tmp_path, override))


def test_bad_data_is_refused_as_by_the_other_command(mini_coco, tmp_path):
    images = mini_coco / "mini_coco" / "train2017"
    content = json.loads((images.parent / "annotations/instances_train2017.json").read_text())
    content["annotations"][1]["bbox"] = [9, 9, -4, 4]
    (tmp_path / "bad.json").write_text(json.dumps(content))
    register_coco_data("bad", tmp_path / "bad.json", images)
    try:
        with pytest.raises(SystemExit, match="data set 'bad' is bad .box_negative 1"):
            train_lazy.main(command(tmp_path / "out", "dataloader.train.dataset.names=bad"))
    finally:
        forget("bad")
    assert not (tmp_path / "out" / "metrics.json").exists()
