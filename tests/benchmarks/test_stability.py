import json

import pytest
import torch
from stability import main

from nonlocal_det.synthetic.mini_coco import make_mini_coco
from nonlocal_det.synthetic.register import register_mini_coco

LONG = [
    *("DATASETS.TRAIN", "('mini_coco_keypoints_train',)"),
    *("SOLVER.MAX_ITER", "150", "SOLVER.BASE_LR", "0.0025"),
]


def lines(capsys, *options):
    words = ["--config-file", "quick/nl_mask_keypoint_rcnn_R18", "--every", "2"]
    data = ["DATASETS.TRAIN", "('mini_coco_keypoints_train',)", "INPUT.MIN_SIZE_TRAIN", "(64,)"]
    main([*words, "MODEL.DEVICE", "cpu", "SEED", "1", *data, *options])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_run_is_described_every_so_often_and_at_its_end(mini_coco, capsys):
    *steps, summary = lines(capsys, "SOLVER.MAX_ITER", "4", "MODEL.NONLOCAL.SCALE", "True")
    assert [step["iteration"] for step in steps] == [0, 2, 3]
    head = steps[0]["blocks"]["roi_heads.keypoint_head.nl8"]
    assert set(head) == {"gradient", "before", "after", "spread", "entropy", "one_hot"}
    assert head["gradient"] > 0 < head["after"]
    assert 0 < head["entropy"] < 1
    assert (summary["end"], summary["iterations"]) == ("finite", 4)
    assert summary["last_25"]["loss_keypoint"] > 0


def test_a_run_that_diverges_ends_there(mini_coco, capsys):
    steep = ["SOLVER.WARMUP_ITERS", "0", "SOLVER.BASE_LR", "1e3"]
    *_, summary = lines(capsys, "SOLVER.MAX_ITER", "9", *steep)
    assert summary["end"] in ("diverged", "not finite")
    assert summary["iterations"] < 9


@pytest.mark.slow
def test_the_keypoint_model_of_full_width_trains_on_eight_pictures(tmp_path, monkeypatch, capsys):
    make_mini_coco(tmp_path, num_train=8, num_val=1, size=256)
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    register_mini_coco()
    torch.set_num_threads(2)
    try:
        main([*"--config-file nl_keypoint_rcnn_R50 MODEL.DEVICE cpu SEED 1".split(), *LONG])
    finally:
        torch.set_num_threads(1)
    first, *_, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (summary["end"], summary["iterations"]) == ("finite", 150)
    assert summary["last_25"]["loss_keypoint"] < first["loss_keypoint"]
    assert len(first["blocks"]) == 5
    for name, block in first["blocks"].items():  # without the scale 0.03 and less
        assert block["entropy"] > 0.1, name
