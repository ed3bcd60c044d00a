"""The suite long-range: two comparisons for each block, several runs at a time, its distances."""

import json
from pathlib import Path

import pytest

from nonlocal_det.experiments import datasets
from nonlocal_det.experiments.datasets import missing_data, prepare_data
from nonlocal_det.experiments.plan import make_plan
from nonlocal_det.experiments.suites import QUESTIONS, find_suite
from nonlocal_det.experiments.zoo_rows import with_results
from nonlocal_det.experiments.zoo_tables import fill_tables
from nonlocal_det.model_zoo.rows import load_rows
from nonlocal_det.synthetic.register import register_long_range
from nonlocal_det.training.process_group import usable_cores

BASE, CONTROL, NL = (f"long_range/{role}beacon_R18" for role in ("", "control_", "nl_"))
SAME_RATE = ["SOLVER.BASE_LR", "0.01"]
LONG_RANGE = Path(__file__).parents[2] / "docs" / "long_range.md"


def pairs(only: str) -> list[tuple[str, str]]:
    pairs = find_suite("long-range", only).pairs
    return [tuple(n.removeprefix("long_range/") for n in (p.baseline, p.config)) for p in pairs]


def test_every_question_has_its_arms_and_the_others_go_by_name():
    assert QUESTIONS[:8] == (
        *("beacon", "functions", "stages", "blocks", "pairs", "local", "pose", "pose-short"),
    )
    assert pairs("beacon") == [
        ("beacon_R18", "control_beacon_R18"),
        ("beacon_R18", "nl_beacon_R18"),
        ("control_beacon_R18", "nl_beacon_R18"),
    ]
    assert {
        ("control_beacon_deep_R50_10blocks", "nl_beacon_deep_R50_10blocks"),
        ("beacon_deep_R50", "nl_beacon_deep_R50_5blocks"),
    } < set(pairs("blocks"))
    assert len({config for pair in pairs("pose") for config in pair}) == 7
    assert pairs("gcnet_pairs") == [("pairs_R18", "gcnet_pairs_R18")]
    everything = find_suite("long-range").configs
    assert len(everything) == sum(row["task"] == "long-range" for row in load_rows())


def test_every_control_has_its_models_parameters_and_multiply_adds():
    rows = {row["config"]: row for row in load_rows()}
    alike = [
        row
        for row in rows.values()
        if row.get("control") == row["config"].replace("nl_", "control_") and "cost" in row
    ]
    assert len(alike) == 16
    for row in alike:
        for key in ("parameters", "multiply_adds"):
            control = rows[row["control"]]["cost"]["total"]
            assert row["cost"]["total"][key] == control[key], row["config"]


def test_each_block_is_paired_with_its_baseline_and_its_control(beacon):
    beacon.set_faults(ap={f"{BASE} 0.01": 60.0, f"{CONTROL} 0.01": 61.5, f"{NL} 0.01": 90.0})
    assert beacon.run("2", overrides=SAME_RATE) == 0
    results = beacon.results()
    found = {
        (row["baseline"], row["config"]): row["difference"]["mean"]
        for row in results["pairs"]
        if row["metric"] == "box AP"
    }
    assert found == {(BASE, CONTROL): 1.5, (BASE, NL): 30.0, (CONTROL, NL): 28.5}
    assert not any("keypoint" in row["metric"] for row in results["pairs"])  # it has no such head
    assert [model["learning_rate"] for model in results["models"]] == [0.01] * 3
    assert [model["parameters"] for model in results["models"]] == [None] * 3  # with options
    assert f"| `{NL}` | `{CONTROL}` | box AP | 61.50 +- 0.00 | 90.00 +- 0.00" in beacon.table()


def distances(*rights: float) -> dict:
    """As an evaluation with ten things in each of three ranges, all of them detected."""
    bins = [
        {"low": low, "high": high, "count": 10, "detected": 10, "accuracy": right}
        for (low, high), right in zip([(0, 0.5), (0.5, 1), (1, None)], rights, strict=True)
    ]
    whole = {"low": 0, "high": None, "count": 30, "accuracy": sum(rights) / 3}
    return {"of": "objects", "unit": "receptive_fields", "chance": 0.5, "all": whole, "bins": bins}


def test_accuracy_by_distance_is_in_the_report_and_paired(beacon):
    contents = {
        **{f"{CONTROL} 1": distances(1.0, 0.8, 0.5), f"{CONTROL} 2": distances(1.0, 0.9, 0.4)},
        **{f"{NL} 1": distances(1.0, 1.0, 0.9), f"{NL} 2": distances(1.0, 1.0, 1.0)},
        f"{BASE} 1": {**distances(1, 1, 1), "bins": [{**distances(1, 1, 1)["bins"][0],
                                                    "accuracy": None}]},
    }  # fmt: skip
    beacon.set_faults(by_distance=contents)
    beacon.run("2", overrides=SAME_RATE)
    results = beacon.results()
    runs = {(run["config"], run["seed"]): run["by_distance"] for run in results["runs"]}
    assert runs[NL, 2] == contents[f"{NL} 2"]
    assert runs[BASE, 2] is None
    model = next(m for m in results["models"] if m["config"] == CONTROL)["by_distance"]
    assert [b["range"] for b in model["bins"]] == ["all", "0-0.5", "0.5-1", "1+"]
    assert [b["accuracy"]["mean"] for b in model["bins"][1:]] == pytest.approx([100, 85, 45])
    assert (model["chance"], model["of"]) == (50, "objects")
    far = [r for r in results["distance_pairs"] if (r["baseline"], r["range"]) == (CONTROL, "1+")]
    assert [row["by_seed"] for row in far] == [{"1": pytest.approx(40), "2": pytest.approx(60)}]
    assert far[0]["difference"]["mean"] == pytest.approx(50)
    # t with one degree of freedom is 12.706; std of 40 and 60 is 10 sqrt 2, divided by sqrt 2
    assert far[0]["difference"]["interval"] == pytest.approx([50 - 127.06, 50 + 127.06], abs=0.01)
    table = beacon.table()
    of = "objects, by receptive fields | accuracy"
    assert f"| `{CONTROL}` | {of} | 50 | 76.67 +- 0.00 (30) | 100.00 +- 0.00 (10) |" in table
    difference = "1+ | +50.00 | -77.06 .. +177.06 | +40.00, +60.00"
    assert f"| `{NL}` | `{CONTROL}` | right | {difference} |" in table
    assert f"| `{BASE}` | {of} | 50 | 100.00 (30) | - (10) | - | - |" in table  # none detected


def test_the_zoo_gets_both_differences_rates_and_distances(beacon):
    contents = {f"{c} {s}": distances(1, 0.5, v) for c, v in ((CONTROL, 0.5), (NL, 0.75))
                for s in (1, 2)}  # fmt: skip
    beacon.set_faults(by_distance=contents, ap={f"{CONTROL} 0.01": 31.5, f"{NL} 0.01": 41.5})
    beacon.run("2", overrides=SAME_RATE)
    results = {**beacon.results(), "overrides": []}
    rows = with_results([{**row, "measured": None} for row in load_rows()], results)
    measured = next(row["measured"] for row in rows if row["config"] == NL)
    assert measured["box"][0] == 41.5
    assert measured["paired"]["box"]["mean"] == 10.0  # the fake's baseline: 31 and 32
    assert measured["over_control"]["box"]["mean"] == 10.0
    assert measured["learning_rate"] == 0.01
    assert measured["by_distance"]["farthest_over_control"]["mean"] == 25.0
    assert measured["by_distance"]["bins"][3] == {
        **{"range": "1+", "count": 10, "mean": 75.0, "std": 0.0}
    }
    document = fill_tables(LONG_RANGE.read_text(), rows)
    assert "| right: all / 0-0.5 / 0.5-1 / 1+ |" in document
    assert (
        f"| `{NL}` | 1 block in res4 | 0.01 | 41.5 ± 0.0 | +10.0 [+3.6, +16.4] | "
        "+10.0 [+10.0, +10.0] | 75 / 100 / 50 / 75 | +25.0 [+25.0, +25.0] | 0.20 |"
    ) in document
    assert "`beacon_R18`, `control_beacon_R18`, `nl_beacon_R18` here: `python tools/" in document


@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_runs_at_a_time_share_the_cores(beacon, capsys):
    beacon.set_faults(seconds=0.4)
    assert beacon.run("1", overrides=SAME_RATE, jobs=2) == 0
    starts, ends = beacon.calls(), beacon.calls("end")
    assert starts[1][3] < ends[0][3]  # two at a time
    assert starts[2][3] > ends[0][3]  # and not three
    each = usable_cores() // 2
    assert (beacon.output / "threads.txt").read_text() == str(each)
    line = json.loads((beacon.folder("nl_beacon_R18", 1) / "run.json").read_text())["starts"][0]
    assert line["command"].startswith(f"OMP_NUM_THREADS={each} python ")


def test_data_of_another_version_is_refused_before_anything_runs(beacon, beacon_data, monkeypatch):

    monkeypatch.setitem(datasets.VERSIONS, "beacon", 0)
    with pytest.raises(ValueError, match="beacon/made_by.json: version 2, not 0"):
        beacon.run("1", overrides=SAME_RATE)
    assert beacon.calls() == []


def test_data_is_drawn_when_it_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    register_long_range()
    real = datasets.make_long_range
    few = {"num_train": 1, "num_val": 1, "num_test": 1}
    monkeypatch.setattr(datasets, "make_long_range", lambda *a, **k: real(*a, **{**k, **few}))
    plan = make_plan("long-range", only="local", overrides=SAME_RATE)
    try:
        assert missing_data(plan) == ""  # a dry run does not ask for it
        (said,) = prepare_data(plan)
        assert "211 px" in said
        assert prepare_data(plan) == []
        (tmp_path / "long_range" / "local" / "annotations" / "test.json").unlink()
        with pytest.raises(FileNotFoundError, match="test.json   <- missing"):
            prepare_data(plan)
    finally:
        monkeypatch.undo()
        register_long_range()
