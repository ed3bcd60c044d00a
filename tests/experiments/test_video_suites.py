"""The suites of the video models: planned, started from each other's weights, and their data."""

import json
from statistics import fmean

import pytest

from nonlocal_det.evaluation import accuracy_by_gap
from nonlocal_det.experiments.datasets import prepare_data
from nonlocal_det.experiments.long_range.figures import draw_long_range
from nonlocal_det.experiments.plan import make_plan
from nonlocal_det.experiments.reproduce import reproduce
from nonlocal_det.experiments.suites import find_suite

VIDEO = [f"table2{letter}" for letter in "abcdefg"]
VIDEO += ["kinetics", "charades", "video-quick", "video-reach"]


@pytest.mark.parametrize("suite", VIDEO)
def test_a_dry_run_says_every_run_hours_disk_and_missing_data(suite, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    only = "match4" if suite == "video-reach" else ""
    plan = make_plan(suite, seeds="2", output=tmp_path / "out", only=only)
    assert reproduce(plan, "dry-run") == 0
    text = capsys.readouterr().out
    assert f"# run {len(plan.runs)} of {len(plan.runs)}: " in text
    assert "# hours: " in text
    assert " GiB" in text
    assert ("data not found" in text) == (not suite.startswith("video-"))
    assert not (tmp_path / "out").exists()


def test_the_papers_differences_stand_beside_the_pairs():
    papers = {pair.config: pair.paper for pair in find_suite("table2a").pairs}
    assert papers["video/nl_c2d_R50_32x2_dot_product"] == {"clip top1": 1.1, "clip top5": 0.6}
    papers = {pair.config: pair.paper for pair in find_suite("charades").pairs}
    assert papers["video/charades_nl_i3d_R101_128x1"] == {"actions mAP": 2.0}


def test_128_frames_start_from_the_weights_of_32_under_the_same_seed(tmp_path):
    runs = {r.name: r for r in make_plan("table2g", seeds="2", output=tmp_path).runs}
    order = list(runs)
    for seed in (1, 2):
        for depth in ("R50", "R101"):
            start = runs[f"video/i3d_{depth}_32x2 seed {seed}"]
            for name in (f"video/i3d_{depth}_128x1", f"video/nl_i3d_{depth}_128x1"):
                run = runs[f"{name} seed {seed}"]
                assert run.start == start
                assert run.options[-2:] == ("MODEL.WEIGHTS", f"{start.folder}/model_final.pth")
                assert order.index(start.name) < order.index(run.name)


def test_charades_starts_from_kinetics_and_that_from_fewer_frames(tmp_path):
    runs = {r.name: r for r in make_plan("charades", seeds="1", output=tmp_path).runs}
    last = runs["video/charades_nl_i3d_R101_128x1 seed 1"]
    assert last.start.name == "video/nl_i3d_R101_128x1 seed 1"
    assert last.start.start.name == "video/i3d_R101_32x2 seed 1"


def test_a_suite_without_its_data_names_the_tree(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"(?s)kinetics400_train.*kinetics400/train/   <-"):
        prepare_data(make_plan("table2b", seeds="1", output=tmp_path))


def test_the_figure_against_the_gap_is_drawn(tmp_path):
    row = {"low": 2, "high": 2, "count": 9, "accuracy": 0.5, "log_loss": 0.7}
    content = {"unit": "frames", "bins": [row, {**row, "low": 5, "accuracy": 1.0}]}
    runs = [{"config": c, "seed": s, "by_distance": content} for c in "ab" for s in (1, 2)]
    (tmp_path / "results.json").write_text(json.dumps({"pairs": [], "runs": runs}))
    (line,) = draw_long_range(tmp_path / "results.json", tmp_path / "out")
    assert line.endswith("accuracy_by_gap.png")
    assert (tmp_path / "out" / "accuracy_by_gap.png").stat().st_size > 10_000


def test_accuracy_and_log_loss_are_counted_for_each_gap(tmp_path):
    records = [{"video_id": str(k), "label": k % 2, "gap": 2 + 3 * (k > 1)} for k in range(4)]
    scores = [[-0.1, -2.3], [-0.1, -2.3], [-0.7, -0.6], [-0.7, -0.6]]
    path = tmp_path / "video_predictions.json"
    entries = [
        f'{{"video_id": "{k}", "classes": {[0, 1] if a > b else [1, 0]},'
        f' "log_scores": {sorted((a, b), reverse=True)}}}'
        for k, (a, b) in enumerate(scores)
    ]
    path.write_text(f"[{', '.join(entries)}]")
    measured = accuracy_by_gap(records, path)
    near, far = measured["bins"]
    assert (near["low"], near["high"], near["count"], near["accuracy"]) == (2, 2, 2, 0.5)
    assert near["log_loss"] == pytest.approx(fmean([0.1, 2.3]))
    assert far["log_loss"] == pytest.approx(fmean([0.7, 0.6]))
    assert measured["all"]["accuracy"] == 0.5
    assert (measured["chance"], measured["unit"]) == (0.5, "frames")
