"""Any video gets its classes, a plot, a table and an mp4; one that cannot be read is named."""

import csv
import json
import sys

import av
import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from numbered_videos import write_numbered
from PIL import Image

from nonlocal_det.cli import classify
from nonlocal_det.configs import load_config
from nonlocal_det.inference.clip_classifier import ClipClassifier
from nonlocal_det.visualization.video_scores import draw_top_classes

CONFIG = "video/quick/i3d_R18"
NAMES = ["down", "fast", "grow", "left", "right", "shrink", "slow", "very long name of a class"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "model.pth"
    torch.manual_seed(0)
    model = build_model(load_config(CONFIG, device="cpu"))
    torch.save({"model": model.state_dict(), "data_names": {"thing_classes": NAMES}}, path)
    return path


def run(weights, out, *files, options=()):
    classify.main(
        ["--config-file", CONFIG, "--weights", str(weights), "--output", str(out)]
        + [*options, "--video", *map(str, files)]
    )


def test_a_video_gets_its_files(weights, tmp_path, capsys):
    path = write_numbered(tmp_path / "walk.mp4", 60)  # 2.36 s
    run(weights, tmp_path / "out", path)
    rows = list(csv.reader((tmp_path / "out" / "walk_scores.csv").open()))
    assert rows[0] == ["seconds", *NAMES]
    assert [row[0] for row in rows[1:]] == ["0.000", "1.000", "2.000"]
    assert sum(map(float, rows[1][1:])) == pytest.approx(1, abs=1e-4)
    best = json.loads((tmp_path / "out" / "classes.json").read_text())[str(path)]
    assert len(best) == 5
    assert best[0]["probability"] >= best[4]["probability"]
    assert f"walk.mp4: {best[0]['class']} " in capsys.readouterr().out
    assert Image.open(tmp_path / "out" / "walk_scores.png").width > 400
    with av.open(str(tmp_path / "out" / "walk_top5.mp4")) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 60
    assert [float(frames[k].time) for k in (0, 59)] == pytest.approx([0, 59 / 25], abs=0.002)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("one_frame.mp4", {"frames": 1}),
        ("square.mkv", {"frames": 20, "size": (64, 64)}),
        ("odd.webm", {"frames": 20, "size": (49, 104), "codec": "libvpx"}),
        ("uneven.mkv", {"milliseconds": [0, 5, 900, 1000, 2500]}),
    ],
)
def test_any_video_is_classified(weights, tmp_path, name, options):
    run(weights, tmp_path / "out", write_numbered(tmp_path / name, **options))
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_a_broken_file_is_named_and_the_others_are_done(weights, tmp_path, capsys):
    path, broken = write_numbered(tmp_path / "a.mp4", 5), tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(SystemExit) as ended:
        run(weights, tmp_path / "out", broken, path, options=["--no-video"])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {broken}: not a video that can be read")
    assert "1 videos: " in said.out
    assert (tmp_path / "out" / "a_scores.csv").is_file()


def test_the_scores_of_a_whole_video_are_the_evaluations(weights, tmp_path):
    from nonlocal_det.evaluation.video import merge_views
    from nonlocal_det.video.mapper import VideoMapper

    path, cfg = write_numbered(tmp_path / "a.mp4", 60), load_config(CONFIG, device="cpu")
    classifier = ClipClassifier(cfg, weights)
    scores = classifier(path)
    sample = VideoMapper(cfg, is_train=False)({"file_name": str(path), "video_id": "a", "label": 0})
    with torch.no_grad():
        merged = merge_views(classifier.model([sample])[0]["scores"], "mean").exp()
    np.testing.assert_allclose(scores.whole, merged.numpy())
    assert scores.classes == tuple(NAMES)


@pytest.mark.parametrize("size", [(48, 96), (720, 404), (35, 1001)])
def test_classes_are_drawn_readably_over_any_frame(size):
    frame = np.full((*size, 3), 200, np.uint8)
    drawn = draw_top_classes(frame, NAMES, np.linspace(0, 1, 8))
    assert min(drawn.shape[:2]) >= 360
    assert not any(side % 2 for side in drawn.shape[:2])
    assert drawn[5, 5].tolist() != [200] * 3


def test_what_is_missing_is_told_in_a_line(tmp_path, monkeypatch, weights):
    path = write_numbered(tmp_path / "a.mp4", 5)
    with pytest.raises(SystemExit, match="error: .*no such file of weights; give --weights"):
        run(tmp_path / "none.pth", tmp_path / "out", path)
    with pytest.raises(SystemExit, match="error: the config is of no video model"):
        classify.main(["--config-file", "quick/mask_keypoint_rcnn_R18", "--video", str(path)])
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SystemExit, match=r"needs PyAV: pip install 'nonlocal_det\[video\]'"):
        run(weights, tmp_path / "out", path)
