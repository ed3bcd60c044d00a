import csv
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from trained_model import NAME, SMALL, load_detector, save_weights

from nonlocal_det.inference.attention_summary import summarize_attention
from nonlocal_det.inference.readme_figure import draw_overview
from nonlocal_det.visualization import STATISTICS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_weights(tmp_path_factory.mktemp("weights") / "model_final.pth")


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_data_set_is_summarized_by_query_and_by_block(weights, mini_coco, tmp_path):
    detector = load_detector(weights)
    text = summarize_attention(detector, tmp_path, images=2, threshold=0.0, progress=False)
    queries, blocks = read(tmp_path / "queries.csv"), read(tmp_path / "blocks.csv")
    assert [row["block"][-3:] for row in blocks] == ["nl0", "nl2", "nl4", "nl6", "nl8"]
    assert all(row["block"] in text for row in blocks)
    for block in blocks:
        own = [row for row in queries if row["block"] == block["block"]]
        assert int(block["queries"]) == len(own) > 0
        for key in STATISTICS:
            mean = np.mean([float(row[key]) for row in own])
            assert float(block[key]) == pytest.approx(mean, abs=1e-9)
        places = [float(block[key]) for key in ("own", "others", "background", "padding")]
        assert sum(places) == pytest.approx(1)
        assert 0 < float(block["query_independence"]) <= 1
    assert {row["image_id"] for row in queries} == {"1", "2"}
    assert (tmp_path / "summary.png").read_bytes()[:4] == b"\x89PNG"


def test_one_map_for_all_queries_has_independence_one(mini_coco, tmp_path):
    options = ["MODEL.NONLOCAL.OPERATION", "global_context", "MODEL.NONLOCAL.BOTTLENECK_RATIO"]
    import torch
    from detectron2.modeling import build_model
    from small_models import small_config

    state = build_model(small_config(NAME, *options, 0.25)).state_dict()
    torch.save({"model": state}, tmp_path / "a.pth")
    detector = load_detector(tmp_path / "a.pth", *options, "0.25")
    summarize_attention(detector, tmp_path, images=1, blocks=["res4.nl0"], progress=False)
    (block,) = read(tmp_path / "blocks.csv")
    assert float(block["query_independence"]) == pytest.approx(1)


def test_wrong_requests_are_refused(weights, mini_coco, tmp_path, monkeypatch):
    detector = load_detector(weights)
    with pytest.raises(ValueError, match="--images 0: expected at least 1"):
        summarize_attention(detector, tmp_path, images=0)
    with pytest.raises(ValueError, match=r"block='res3.nl0': no block of that name; .*res4\.nl0"):
        summarize_attention(detector, tmp_path, blocks=["res3.nl0"], progress=False)
    words = ["--config-file", NAME, "--weights", weights, "--output", tmp_path]
    words += ["DATASETS.TEST", "('nothing',)", *SMALL]
    monkeypatch.setattr(sys, "argv", ["summarize_attention.py", *map(str, words)])
    with pytest.raises(SystemExit, match=r"^error: DATASETS of .* names 'nothing', which is not"):
        runpy.run_path(str(ROOT / "tools" / "summarize_attention.py"), run_name="__main__")


def test_the_overview_is_drawn_and_small(weights, mini_coco, tmp_path):
    detector = load_detector(weights)
    path = draw_overview(detector, tmp_path / "docs" / "a.png", images=1, threshold=0.0)
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert path.stat().st_size < 300_000
    with pytest.raises(ValueError, match="no two instances over 2 in any image of mini_coco"):
        draw_overview(detector, tmp_path / "b.png", threshold=2.0)
