"""The video quickstart without its training: the pictures, and the place that moves."""

import numpy as np
import torch
from detectron2.modeling import build_model
from PIL import Image

from nonlocal_det.cli import quickstart_video
from nonlocal_det.configs import load_config
from nonlocal_det.synthetic import make_moving_clips, register_moving_clips


def test_pictures_are_drawn_from_a_finished_run(tmp_path, monkeypatch):
    make_moving_clips(tmp_path, num_train=8, num_val=8, size=32)
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    register_moving_clips()
    out = tmp_path / "out"
    out.mkdir()
    cfg = load_config(quickstart_video.CONFIG, ["OUTPUT_DIR", str(out)], "cpu")
    torch.save({"model": build_model(cfg).state_dict()}, out / "model_final.pth")
    row = '{"iteration": 0, "total_loss": 2.0, "loss_cls": 2.0}\n'
    (out / "metrics.json").write_text(row + row.replace(": 0", ": 19"))
    paths = quickstart_video.draw(cfg)
    assert set(paths) == {"predictions", "losses", "attention"}
    for path in paths.values():
        assert np.asarray(Image.open(path)).std() > 10
    monkeypatch.undo()
    register_moving_clips()


def test_the_quickstart_has_floors_above_what_one_frame_allows():
    cfg = load_config(quickstart_video.CONFIG)
    floors = {m: middle - by for task, m, middle, by in cfg.TEST.EXPECTED_RESULTS if task}
    assert floors == {"top1": 70, "class_accuracy": 70}  # a C2D reaches 50 at the best


def test_the_place_that_moves_is_found():
    frames = np.full((8, 40, 60, 3), 50, np.uint8)
    for time in range(8):
        frames[time, 10:14, 5 * time : 5 * time + 5] = 250
    x, y = quickstart_video.moving_place(frames, 4)
    assert abs(y - 12) <= 1
    assert abs(x - 22.5) <= 1
