"""Which runs come into one figure, what is refused, and the tool from end to end."""

import copy
import itertools
import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from detectron2.modeling import build_model

from nonlocal_det import model_zoo
from nonlocal_det.evaluation import accuracy_by_distance
from nonlocal_det.experiments.long_range import attention
from nonlocal_det.experiments.long_range.attention import find_query
from nonlocal_det.experiments.long_range.comparisons import find_comparisons, read_suite, same_data
from nonlocal_det.synthetic.long_range.make import make_long_range
from nonlocal_det.synthetic.register import register_long_range

TOOL = Path(__file__).parents[2] / "tools" / "draw_long_range.py"
CONFIGS = [f"long_range/{role}beacon_R18" for role in ("", "control_", "nl_")]


def pairs(*comparisons):
    return [{"baseline": f"x/{base}", "config": f"x/{config}"} for base, config in comparisons]


def test_arms_are_those_of_the_suites_pairs():
    comparisons = pairs(
        *(("beacon", "control_beacon"), ("beacon", "nl_beacon"), ("control_beacon", "nl_beacon")),
        *(("beacon", "gcnet_beacon"), ("beacon", "nl_beacon_gaussian")),
        *(("control_beacon", "nl_beacon_gaussian"), ("pose", "nl_pose_head")),
    )
    names = {name for pair in comparisons for name in pair.values()} - {"x/pose"}
    suite = {"pairs": comparisons, "runs": [{"config": name} for name in sorted(names)]}
    plain, gaussian = find_comparisons(suite)  # and no pose, whose baseline has not finished
    assert plain.name == "beacon"
    assert list(plain.configs.items()) == [
        *(("", "x/beacon"), ("control_", "x/control_beacon")),
        *(("gcnet_", "x/gcnet_beacon"), ("nl_", "x/nl_beacon")),
    ]
    assert gaussian.configs == {
        **{"": "x/beacon", "control_": "x/control_beacon", "nl_": "x/nl_beacon_gaussian"}
    }
    for only in ("gauss", "nl_beacon_gauss"):
        assert [one.name for one in find_comparisons(suite, only)] == ["beacon_gaussian"]
    for only in ("pears", "pose"):
        with pytest.raises(ValueError, match=f"'{only}' in its name has .*runs of x/beacon, x/con"):
            find_comparisons(suite, only)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    root = tmp_path_factory.mktemp("datasets")
    make_long_range(root, "beacon", receptive_field=211, num_train=1, num_val=1, num_test=12)
    make_long_range(root, "pose", receptive_field=99, num_train=1, num_val=1, num_test=3)
    return root / "long_range"


@pytest.fixture(scope="module")
def suite(datasets, tmp_path_factory):
    """A results.json of three models under two seeds that detect every object as red."""
    root = tmp_path_factory.mktemp("suite")
    truth = datasets / "beacon" / "annotations" / "test.json"
    keys = ("image_id", "bbox")
    found = [
        {**{key: one[key] for key in keys}, "category_id": 1, "score": 0.9}
        for one in json.loads(truth.read_text())["annotations"]
    ]
    (root / "found.json").write_text(json.dumps(found))
    measured = accuracy_by_distance(truth, root / "found.json")
    runs = [
        {"config": config, "seed": seed, "status": "finished", "by_distance": measured}
        for seed in (1, 2)
        for config in CONFIGS
    ]
    runs.append({"config": "long_range/nl_pairs_R18", "seed": 1, "status": "new"})
    comparisons = [{"baseline": other, "config": CONFIGS[2]} for other in CONFIGS[:2]]
    content = {"overrides": ["TEST.DETECTIONS_PER_IMAGE", 5], "pairs": comparisons, "runs": runs}
    path = root / "results.json"
    path.write_text(json.dumps(content))
    return path


def test_the_tool_draws_both_figures(suite, datasets, tmp_path, monkeypatch, capsys):
    for config, seed in itertools.product(CONFIGS, (1, 2)):
        folder = suite.parent / config.split("/")[-1] / f"seed{seed}"
        folder.mkdir(parents=True)
        cfg = model_zoo.get_config(config)
        cfg.MODEL.DEVICE = "cpu"
        torch.save({"model": build_model(cfg).state_dict()}, folder / "model_final.pth")
    register_long_range(datasets.parent)
    asked = []
    draw = attention.draw_panels
    monkeypatch.setattr(attention, "draw_panels", lambda *a, **k: asked.append(a) or draw(*a, **k))
    monkeypatch.setattr(sys, "argv", [str(TOOL), str(suite), "--out", str(tmp_path)])
    try:
        runpy.run_path(str(TOOL), run_name="__main__")
    finally:
        register_long_range()
    paths = [tmp_path / f"{what}_beacon_R18.png" for what in ("accuracy", "looks")]
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"accuracy against distance: {paths[0]}",
        f"attention of one query, seeds 1, 2: {paths[1]}",
    ]
    labels = [label for label, _ in asked[0][2]]
    assert [label.split(":")[0] for label in labels] == [
        *("baseline", "control (same cost, no reach)", "non-local, seed 1", "non-local, seed 2")
    ]
    (suite.parent / "control_beacon_R18" / "seed1" / "model_final.pth").unlink()
    content = read_suite(suite)
    assert attention.find_seeds(content, *find_comparisons(content), suite.parent) == [2]
    assert all(path.stat().st_size > 10000 for path in paths)


def test_what_is_no_result_of_the_suite_is_refused(suite, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"give the results.json of tools/reproduce.py"):
        read_suite(tmp_path / "none.json")
    other = tmp_path / "other.json"
    for text in ("[1, 2]", "{", '{"pairs": [], "runs": [3]}', '{"runs": []}'):
        other.write_text(text)
        with pytest.raises(ValueError, match=r"is not a suite's results\.json"):
            read_suite(other)
    other.write_text('{"pairs": [], "runs": [{"config": "a", "seed": 1}]}')
    with pytest.raises(ValueError, match='none of its 1 runs has "by_distance"'):
        read_suite(other)
    assert len(read_suite(suite)["runs"]) == 6


def test_runs_of_other_data_are_not_mixed(suite):
    runs = read_suite(suite)["runs"]
    assert same_data(runs) == runs[0]["by_distance"]
    for change in ({"data_version": 99}, {"receptive_field": 99}, {"bins": []}):
        other = copy.deepcopy(runs)
        other[2]["by_distance"].update(change)
        with pytest.raises(ValueError, match="nl_beacon_R18 seed 1 was measured on other data"):
            same_data(other)
    pixels = copy.deepcopy(runs[:1])
    pixels[0]["by_distance"]["unit"] = "pixels"
    with pytest.raises(ValueError, match="expected receptive_fields"):
        same_data(pixels)


def test_the_first_object_beyond_the_field_is_asked_about(datasets, tmp_path):
    folder = datasets / "beacon"
    path = tmp_path / "test.json"
    content = json.loads((folder / "annotations" / "test.json").read_text())
    content["annotations"][-1].update(evidence_distance=999, evidence_receptive_fields=4.7346)
    path.write_text(json.dumps(content))
    query = find_query(path, folder / "test")
    beyond = [one for one in content["annotations"] if one["evidence_receptive_fields"] > 1]
    first = [one for one in beyond if one["image_id"] == beyond[0]["image_id"]]
    farthest = max(first, key=lambda one: one["evidence_distance"])
    x, y, width, height = farthest["bbox"]
    assert query.point == (x + width / 2, y + height / 2)
    assert query.box == (x, y, x + width, y + height)
    assert query.fields == pytest.approx(farthest["evidence_receptive_fields"], abs=1e-3)
    assert query.file == folder / "test" / f"{beyond[0]['image_id']:012d}.png"
    assert query.file.is_file()
    near = [one for one in content["annotations"] if one["evidence_receptive_fields"] <= 1]
    path.write_text(json.dumps({**content, "annotations": near}))
    farthest = max(one["evidence_receptive_fields"] for one in near)
    assert find_query(path, folder / "test").fields == pytest.approx(farthest, abs=1e-3)
    assert find_query(path, folder / "test", 5).image_id == 5
    with pytest.raises(ValueError, match="no object in image 99; there are the images 1 to 12"):
        find_query(path, folder / "test", 99)


def test_of_a_figure_a_limbs_farthest_joint_is_asked_about(datasets):
    path = datasets / "pose" / "annotations" / "test.json"
    (one,) = [a for a in json.loads(path.read_text())["annotations"] if a["image_id"] == 2]
    query = find_query(path, datasets / "pose" / "test", 2)
    joint = max(range(5, 17), key=lambda k: one["keypoint_evidence_distances"][k])
    assert joint in (15, 16)  # an ankle: nothing is farther from the head
    assert query.point == tuple(v + 0.5 for v in one["keypoints"][3 * joint : 3 * joint + 2])
    assert query.fields == pytest.approx(one["keypoint_evidence_distances"][joint] / 99)
