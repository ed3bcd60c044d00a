import json

from stability import main


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
