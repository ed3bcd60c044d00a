"""The suite with the real training command, a kill and a restart included."""

import io
import json
import os
import signal
import threading
import time

import pytest
import torch
from detectron2.modeling import build_model

from nonlocal_det import model_zoo
from nonlocal_det.experiments.estimate import checkpoint_bytes, checkpoint_count
from nonlocal_det.experiments.plan import make_plan
from nonlocal_det.experiments.reproduce import reproduce

TINY = [
    *("SOLVER.IMS_PER_BATCH", "2", "SOLVER.MAX_ITER", "6", "SOLVER.STEPS", "()"),
    *("SOLVER.CHECKPOINT_PERIOD", "2", "SOLVER.BASE_LR", "0.001", "MODEL.DEVICE", "cpu"),
    *("INPUT.MIN_SIZE_TRAIN", "(64,)", "INPUT.MIN_SIZE_TEST", "64"),
]


def kill_at_first_checkpoint(run) -> None:
    """SIGKILL the training as soon as it could be resumed."""
    until = time.monotonic() + 50
    while not run.has_checkpoint() and time.monotonic() < until:
        time.sleep(0.01)
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
        if str(run.folder).encode() in words:
            os.kill(int(process), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="finds the training in /proc")
def test_a_killed_training_is_resumed_and_the_table_is_whole(mini_coco, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    out = tmp_path / "out"
    plan = make_plan("quick", seeds="7,", output=out, overrides=TINY)
    killer = threading.Thread(target=kill_at_first_checkpoint, args=(plan.runs[0],))
    killer.start()
    assert reproduce(plan) == 1
    killer.join()
    assert [run.status() for run in plan.runs] == ["failed", "finished"]
    assert "killed by SIGKILL" in (out / "results.md").read_text()
    kept = (plan.runs[1].folder / "result.json").read_bytes()

    assert reproduce(plan) == 0
    assert (plan.runs[1].folder / "result.json").read_bytes() == kept
    first, second = (run.result() for run in plan.runs)
    assert 0 < first["first_iteration"] < 6
    assert second["first_iteration"] == 0
    for result, run in zip((first, second), plan.runs, strict=True):
        assert result["metrics"].keys() == {"bbox", "segm", "keypoints"}
        assert result["config_hash"] == run.config_hash  # the training's own, and the plan's
        assert result["seed"] == 7
    assert second["s_per_iter"] > 0
    results = json.loads((out / "results.json").read_text())
    assert results["mixed"] == []
    assert first["inexact"] == []
    note = f"resumed at iteration {first['first_iteration']}; exactly: the images and random"
    assert note in (out / "results.md").read_text()

    cfg = plan.configs[plan.runs[1].config]
    files = list(plan.runs[1].folder.glob("*.pth"))
    assert len(files) == checkpoint_count(cfg) == 4
    assert all(file.stat().st_size < 1.01 * checkpoint_bytes(cfg) for file in files)


def test_a_checkpoints_size_is_that_of_weights_and_momentum():
    cfg = model_zoo.get_config("quick/nl_mask_keypoint_rcnn_R18")
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.BACKBONE.FREEZE_AT = 2  # what is frozen has no momentum
    model = build_model(cfg)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], momentum=0.9)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    assert checkpoint_bytes(cfg) == pytest.approx(file.tell(), rel=0.005)
