"""Where a video model's blocks attend in any video, from a point of a frame."""

import json

import av
import numpy as np
import pytest
import torch
from numbered_videos import read_number, write_numbered
from PIL import Image
from trained_model import save_weights

from nonlocal_det.cli import classify, demo
from nonlocal_det.configs import load_config
from nonlocal_det.inference.clip_attention import record_clip
from nonlocal_det.inference.clip_classifier import ClipClassifier
from nonlocal_det.visualization import CLIP_STATISTICS

CONFIG = "video/quick/nl_i3d_R18"  # clips of 8 frames, every second one


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_weights(tmp_path_factory.mktemp("weights") / "model.pth", CONFIG)


@pytest.fixture(scope="module")
def classifier(weights):
    return ClipClassifier(load_config(CONFIG, device="cpu"), weights)


@pytest.mark.parametrize(
    ("frame", "total", "numbers"),
    [
        (20, 60, [12, 14, 16, 18, 20, 22, 24, 26]),
        (3, 60, [1, 3, 5, 7, 9, 11, 13, 15]),
        (58, 60, [44, 46, 48, 50, 52, 54, 56, 58]),
        (5, 7, [1, 3, 5, 0, 2, 4, 6, 1]),  # shorter than a clip: it goes on at the beginning
        (0, 1, [0] * 8),
    ],
)
def test_the_clip_has_the_frame_and_stays_within_the_video(
    classifier, tmp_path, frame, total, numbers
):
    clip = record_clip(classifier, write_numbered(tmp_path / "a.mp4", total), frame)
    assert list(clip.numbers) == numbers
    assert [read_number(picture) for picture in clip.frames] == numbers
    attention = clip.at("res3.nl0", (95, 47, frame))
    assert attention.query == (95, 47, numbers.index(frame))
    assert clip.labels[0] == f"frame {numbers[0]}, {numbers[0] / 25:.2f} s"


def test_points_are_in_the_videos_pixels_and_rows_are_the_blocks(classifier, tmp_path):
    path, inputs = write_numbered(tmp_path / "a.mp4", 30), []
    block = classifier.model.backbone.res3.nl0
    handle = block.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    attention = record_clip(classifier, path, 11).at("res3.nl0", (95.0, 10.0, 11))
    handle.remove()
    (x,) = inputs
    assert x.shape[2:] == (4, 7, 14)  # 48 x 96 pixels became 56 x 112, and a cell has 8 of them
    assert attention.position == (2, 1, 13)
    with torch.no_grad():
        expected = block.attention(x, (2, 1, 13))[0]
    np.testing.assert_allclose(attention.weights, expected, rtol=1e-5)


def run(weights, out, *words, config=CONFIG):
    classify.main(
        ["--config-file", config, "--weights", str(weights), "--output", str(out), *words]
    )


def test_classify_writes_pictures_films_and_numbers(weights, tmp_path):
    path, out = write_numbered(tmp_path / "walk.mp4", 30), tmp_path / "out"
    run(weights, out, "--video", str(path), "--query", "40,20,11", "--query", "8.5,4,0")
    for stem in ("walk_40_20_11", "walk_8.5_4_0"):
        for name in ("res3.nl0", "res4.nl0"):
            assert np.asarray(Image.open(out / f"{stem}_{name}.png")).std() > 10
            with av.open(str(out / f"{stem}_{name}.mp4")) as film:
                assert len(list(film.decode(video=0))) == 8
        assert Image.open(out / f"{stem}_time.png").width > 400
    rows = json.loads((out / "walk_attention.json").read_text())
    assert [row["query"] for row in rows] == [[40, 20, 11]] * 2 + [[8.5, 4, 0]] * 2
    assert set(CLIP_STATISTICS) < set(rows[0])
    assert sum(rows[0]["over_time"]) == pytest.approx(1)
    assert 0 <= rows[0]["query_independence"] <= 1
    assert (out / "classes.json").is_file()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("4,4,30", r"frame 30 is outside of .*walk.mp4, which has 30 frames; give 0\.\.29"),
        ("4,4,-1", "frame -1 is outside of "),
        ("96,4,3", r"point \(96, 4\) is outside of the image, which is 96 x 48 pixels"),
        ("4,4", "--query '4,4': expected X,Y,FRAME"),
        ("4,4,1.5", "--query '4,4,1.5': expected X,Y,FRAME"),
    ],
)
def test_a_query_outside_of_the_clip_is_refused_in_a_line(weights, tmp_path, query, message):
    path = write_numbered(tmp_path / "walk.mp4", 30)
    with pytest.raises(SystemExit, match=f"^error: {message}"):
        run(weights, tmp_path / "out", "--video", str(path), f"--query={query}")


def test_blocks_can_be_chosen_and_a_model_without_any_says_so(weights, tmp_path):
    path, out = write_numbered(tmp_path / "walk.mp4", 20), tmp_path / "out"
    query = ["--video", str(path), "--no-video", "--query", "4,4,3"]
    run(weights, out, *query, "--blocks", "res4.nl0")
    assert len(list(out.glob("*_res*"))) == 1
    with pytest.raises(SystemExit, match="block='nl9': no block of that name"):
        run(weights, out, *query, "--blocks", "nl9")
    baseline = "video/quick/i3d_R18"
    save_weights(tmp_path / "base.pth", baseline)
    with pytest.raises(SystemExit, match="VideoClassifier has no non-local block"):
        run(tmp_path / "base.pth", out, *query, config=baseline)


def test_the_demo_of_detectors_names_the_one_of_videos(tmp_path):
    path = write_numbered(tmp_path / "walk.mp4", 3)
    with pytest.raises(
        SystemExit, match="error: the config is of a video model, .* classify_video"
    ):
        demo.main(["--config-file", CONFIG, "--video", str(path), "--output", str(tmp_path)])
