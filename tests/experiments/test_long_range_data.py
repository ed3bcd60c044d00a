"""The tool that draws the long-range data, with the receptive field of the config's backbone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from detectron2.data import MetadataCatalog
from long_range_scenes import recipe
from tiny_training import run

from nonlocal_det.analysis import detection_reach
from nonlocal_det.configs import load_config
from nonlocal_det.evaluation import accuracy_by_distance
from nonlocal_det.experiments import datasets
from nonlocal_det.experiments.datasets import field_of_config, prepare_long_range
from nonlocal_det.model_zoo.models import build_config
from nonlocal_det.synthetic.long_range import DATA_SETS, split_name
from nonlocal_det.synthetic.long_range.make import make_long_range
from nonlocal_det.synthetic.register import register_long_range

MODEL = "long_range/nl_beacon_R18"

TOOL = Path(__file__).parents[2] / "tools" / "make_long_range.py"


def tool(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", str(TOOL), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_tool_draws_and_says_the_field(tmp_path):
    counts = ["--train", 1, "--val", 1, "--test", 1]
    result = tool("beacon", tmp_path, *counts)
    assert result.returncode == 0, result.stderr
    target = tmp_path / "long_range" / "beacon"
    assert result.stdout == f"{target} (receptive field of res4: 211 px)\n"
    recipe = json.loads((target / "made_by.json").read_text())
    assert (recipe["receptive_field"], recipe["width"]) == (211, 320)
    refused = tool("pairs", tmp_path, *counts, "--width", 128)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: level='pairs'")
    assert "Traceback" not in refused.stderr


FIELDS = {
    "beacon": 211,
    "pairs": 211,
    "local": 211,
    "beacon_wide": 435,
    "beacon_deep": 291,
    "pose_short": 43,
}


@pytest.mark.parametrize(("name", "field"), FIELDS.items())
def test_each_data_set_is_for_a_backbone_that_does_not_see_all_of_it(name, field):
    data = DATA_SETS[name]
    assert field_of_config(data.config)[1].size == field  # by hand, layer by layer
    assert data.width > field
    cfg = load_config(data.config)
    assert cfg.DATASETS.TRAIN == (split_name(cfg.DATASETS.TEST[0], "train"),)
    assert MetadataCatalog.get(cfg.DATASETS.TEST[0]).long_range == name
    assert (cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST) == (data.height, data.width)


@pytest.mark.parametrize("name", sorted({*DATA_SETS} - {"pose", "local"}))
def test_the_last_range_is_beyond_any_detections_sight(name):
    data = DATA_SETS[name]
    last = data.edges[-2] * field_of_config(data.config)[1].size
    if data.level == "pose":  # the figure's whole length along one side
        side = recipe(name).figure_length * 1.06
        reach = detection_reach(build_config(data.config, device="meta"), side, side).keypoint
        assert reach is not None
    else:
        reach = detection_reach(build_config(data.config, device="meta"), 24, 24).box
    assert reach < last


def test_data_that_is_there_is_used_if_it_is_of_this_version_and_backbone(tmp_path, monkeypatch):
    few = {"num_train": 1, "num_val": 1, "num_test": 1}
    monkeypatch.setattr(
        datasets, "make_long_range", lambda *a, **k: make_long_range(*a, **k, **few)
    )
    assert "43 px" in prepare_long_range(tmp_path, "pose_short")
    record = tmp_path / "long_range" / "pose_short" / "made_by.json"
    content = {**json.loads(record.read_text()), "num_train": 7, "width": 800}  # the user's choice
    record.write_text(json.dumps(content))
    assert prepare_long_range(tmp_path, "pose_short") == ""
    for key, value in (("receptive_field", 211), ("version", 0), ("level", "local")):
        record.write_text(json.dumps({**content, key: value}))
        with pytest.raises(ValueError, match=rf"{key} {value}, not .*pose_short .*--force"):
            prepare_long_range(tmp_path, "pose_short")
    record.unlink()
    with pytest.raises(ValueError, match="version None"):
        prepare_long_range(tmp_path, "pose_short")


def test_a_training_leaves_its_accuracy_by_distance(tmp_path, monkeypatch):
    counts = {"num_train": 4, "num_val": 2, "num_test": 3}
    make_long_range(tmp_path, "beacon", receptive_field=211, **counts)
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    register_long_range()
    try:
        run(tmp_path / "out", "DATASETS.TEST", "('long_range_beacon_val',)", config=MODEL)
        annotations = MetadataCatalog.get("long_range_beacon_val").json_file
    finally:
        monkeypatch.undo()
        register_long_range()
    found = json.loads((tmp_path / "out" / "result.json").read_text())["by_distance"]
    detections = tmp_path / "out" / "inference" / "coco_instances_results.json"
    assert found == accuracy_by_distance(Path(annotations), detections)
    truth = json.loads(Path(annotations).read_text())["annotations"]
    assert found["all"]["count"] == len(truth) > 0
