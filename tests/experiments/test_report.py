"""What comes into one table, and what is kept out of it."""

import json
import math
from functools import partial

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets import register_coco_instances

from nonlocal_det.experiments.datasets import prepare_data
from nonlocal_det.synthetic import make_mini_coco, register
from nonlocal_det.synthetic.register import register_mini_coco

BASE, NL = "mask_keypoint_rcnn_R18", "nl_mask_keypoint_rcnn_R18"


def test_means_and_paired_differences_are_those_of_the_runs(suite):
    suite.run("2")
    results = suite.results()
    # the fake's box AP: 41, 42 for the baseline, 42.25, 43.5 for the non-local one
    row = next(row for row in results["pairs"] if row["metric"] == "box AP")
    assert row["baseline_value"]["mean"] == 41.5
    assert row["config_value"]["mean"] == pytest.approx(42.875)
    assert row["by_seed"] == {"1": 1.25, "2": 1.5}
    assert row["difference"]["mean"] == pytest.approx(1.375)
    # std of 1.25 and 1.5 is 0.125 sqrt 2; t with one degree of freedom 12.706; divided by sqrt 2
    half = 12.706 * 0.125
    low, high = row["difference"]["interval"]
    assert (low, high) == pytest.approx((1.375 - half, 1.375 + half), abs=1e-3)
    assert row["paper_difference"] is None
    assert (
        f"| `quick/{NL}` | `quick/{BASE}` | box AP | 41.50 +- 0.71 | 42.88 +- 0.88 | +1.38 "
        "| -0.21 .. +2.96 | +1.25, +1.50 | - |"
    ) in suite.table()
    assert (
        f"| `quick/{NL}` | `quick/{BASE}` | keypoint AP | - | - | - | - | - | - |" in suite.table()
    )
    assert (
        f"| `quick/{NL}` | `quick/{BASE}` | box AP75 | - | - | - | - | - | - |" in suite.table()
    )  # null
    assert results["hardware"] == ["a machine"]
    assert results["versions"] == ["torch 2"]
    assert results["command"].startswith("python tools/reproduce.py --suite quick --seeds 1,2 ")
    assert results["mixed"] == []
    assert "MIXED" not in suite.table()


def test_a_single_seed_has_no_interval(suite):
    suite.run("5,")
    assert "| 45.00 | 47.25 | +2.25 | - | +2.25 | - |" in suite.table()


def test_a_partial_table_is_there_after_each_run(suite, monkeypatch):
    from nonlocal_det.experiments import reproduce

    seen = []
    write = reproduce.write_report
    monkeypatch.setattr(reproduce, "write_report", lambda plan: seen.append(write(plan)))
    suite.set_faults(seconds=0.5)  # the second run is not finished when the first is reported
    suite.run("1")
    assert "1 of 2 runs have finished" in seen[0]
    assert "| 41.00 | - | - | - | - | - |" in seen[0]


def test_reporting_alone_trains_nothing(suite):
    suite.run("1")
    calls = len(suite.calls())
    (suite.output / "results.md").unlink()
    assert suite.run("2", "report") == 0
    assert len(suite.calls()) == calls
    assert "2 of 4 runs have finished" in suite.table()


def change(suite, **values):
    path = suite.folder(BASE, 1) / "result.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **values}))
    return path


DATA = {"mini_coco_keypoints_val": "0" * 64}


@pytest.mark.parametrize("mode", ["train", "report"])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"commit": "abc"}, ["abc"]),
        ({"config_hash": "f00"}, ["config f00, not"]),
        ({"data": DATA}, ["data set mini_coco_keypoints_val", "000000000000"]),
    ],
)
def test_what_does_not_compare_is_refused_by_name(suite, values, words, mode):
    suite.run("1")
    path = change(suite, **values)
    content = path.read_bytes()
    with pytest.raises(ValueError, match="cannot stand in one table") as error:
        suite.run("2", mode)
    assert all(word in str(error.value) for word in [*words, "seed1/", "--force"])
    assert len(suite.calls()) == 2

    assert suite.run("2", mode, force=True) == 0
    assert path.read_bytes() == content
    assert "**MIXED" in suite.table()
    assert all(word in suite.table() for word in words)
    assert suite.results()["mixed"]


def test_an_interrupted_run_is_not_continued_with_another_config(suite):
    suite.set_faults(**{f"quick/{BASE} 1": "fail"})
    suite.run("1")
    suite.set_faults()
    overrides = ["SOLVER.BASE_LR", "0.5"]
    with pytest.raises(ValueError, match="run.json: config") as error:
        suite.run("1", overrides=overrides)
    now, before = (suite.plan("1", overrides=o).runs[0].config_hash for o in (overrides, ()))
    assert f"config {before}, not {now}" in str(error.value)
    assert suite.run("1", overrides=overrides, force=True) == 0
    assert "**MIXED" in suite.table()
    assert "Not the configs as they are: `SOLVER.BASE_LR 0.5`" in suite.table()


def test_a_start_that_left_nothing_hinders_no_one(suite):
    suite.set_faults(**{f"quick/{BASE} 1": "fail early", f"quick/{NL} 1": "fail early"})
    suite.run("1")
    suite.set_faults()
    assert suite.run("1", overrides=["SOLVER.BASE_LR", "0.5"]) == 0
    assert "MIXED" not in suite.table()


def test_a_torn_result_is_an_error_that_names_it(suite):
    suite.run("1")
    path = suite.folder(NL, 1) / "result.json"
    path.write_text('{"metr')
    with pytest.raises(ValueError, match="nl_mask_keypoint_rcnn_R18/seed1/result.json is not json"):
        suite.run("1")
    path.write_text("{}")
    with pytest.raises(ValueError, match="has no 'metrics'"):
        suite.run("1", "report")


def test_missing_data_prints_the_expected_tree(suite, tmp_path, monkeypatch, capsys):
    root = tmp_path / "elsewhere"
    (root / "mini_coco" / "train2017").mkdir(parents=True)
    monkeypatch.setenv("DETECTRON2_DATASETS", str(root))
    register_mini_coco()
    with pytest.raises(FileNotFoundError) as error:
        suite.run("1")
    lines = [line.strip() for line in str(error.value).splitlines()]
    folder = f"{root}/mini_coco"
    assert lines[1:] == [
        f"{folder}/annotations/person_keypoints_train2017.json   <- missing",
        f"{folder}/train2017/",
        f"{folder}/annotations/person_keypoints_val2017.json   <- missing",
        f"{folder}/val2017/   <- missing",
    ]
    assert suite.run("1", "dry-run") == 0
    assert "train2017/" in capsys.readouterr().out


def test_a_users_data_is_not_taken_for_ours_by_its_name(suite, tmp_path):
    name = "long_range_mine_val"
    register_coco_instances(name, {}, str(tmp_path / "a" / "b" / "x.json"), str(tmp_path / "a"))
    try:
        with pytest.raises(FileNotFoundError, match=f"data not found: .*{name}"):
            prepare_data(suite.plan(overrides=["DATASETS.TEST", f"('{name}',)"]))
    finally:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def test_the_mini_coco_is_drawn_when_it_is_not_there(suite, tmp_path, monkeypatch):
    root = tmp_path / "empty"
    monkeypatch.setenv("DETECTRON2_DATASETS", str(root))
    small = partial(make_mini_coco, num_train=2, num_val=1, size=64)
    monkeypatch.setattr(register, "make_mini_coco", small)
    register_mini_coco()
    assert suite.run("1") == 0
    digests = suite.results()["data"]
    assert len(digests) == 2
    assert all(len(digest.split()[1]) == 64 for digest in digests)


def test_numbers_that_json_does_not_have_are_refused(tmp_path):
    from nonlocal_det.training.result import write_json

    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": math.nan})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
