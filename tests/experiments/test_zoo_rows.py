"""From a suite's results.json to the zoo's rows."""

import copy

import pytest

from nonlocal_det.configs import config_hash, load_config
from nonlocal_det.experiments.zoo_rows import with_results
from nonlocal_det.model_zoo.rows import load_rows

NL, BASE = "quick/nl_mask_keypoint_rcnn_R18", "quick/mask_keypoint_rcnn_R18"


TIMES = {"s_per_iter": 0.25, "s_per_image": 0.1, "memory_mib": 900}
AP = {"AP": 60.0, "AP50": 90.0, "AP75": 70.0}


def summary(mean, std=None, interval=None, count=3):
    return {"count": count, "mean": mean, "std": std, "interval": interval}


def model(config: str, shift: float) -> dict:
    metrics = {f"box {m}": summary(value + shift, 0.5) for m, value in AP.items()}
    return {"config": config, "metrics": metrics, **TIMES}


def pair(metric: str, mean: float) -> dict:
    difference = summary(mean, 0.2, [mean - 0.5, mean + 0.5])
    return {"baseline": BASE, "config": NL, "metric": metric, "difference": difference}


RESULTS = {
    **{"suite": "quick", "schedule": "", "seeds": [1, 2, 3], "overrides": [], "mixed": []},
    "command": "python tools/reproduce.py --suite quick",
    **{"commit": ["c0ffee"], "hardware": ["a CPU, 2 threads"], "versions": ["torch 2.11.0"]},
    "models": [model(BASE, 0.0), model(NL, 1.5)],
    "pairs": [pair("box AP", 1.5), pair("box AP50", 9.9)],
}


def test_a_finished_suite_becomes_the_measured_part_of_its_rows():
    before = load_rows()
    rows = {row["config"]: row for row in with_results(before, RESULTS)}
    assert rows[NL]["measured"] == {
        "box": [61.5, 91.5, 71.5],
        "std": {"box": [0.5, 0.5, 0.5]},
        "paired": {"box": {"mean": 1.5, "ci95": [1.0, 2.0], "seeds": 3}},
        "seeds": [1, 2, 3],
        **TIMES,
        "command": "python tools/reproduce.py --suite quick",
        "commit": "c0ffee",
        "hardware": "a CPU, 2 threads",
        "versions": "torch 2.11.0",
        "config_hash": config_hash(load_config(NL)),
    }
    assert "paired" not in rows[BASE]["measured"]
    for row in before:
        assert rows[row["config"]]["paper"] == row["paper"]
        if row["config"] not in (NL, BASE):
            assert rows[row["config"]] == row
    assert before == load_rows()  # the given rows are as they were


def test_one_seed_has_neither_a_spread_nor_an_interval():
    results = copy.deepcopy(RESULTS) | {"seeds": [1]}
    for metric in results["models"][1]["metrics"].values():
        metric |= {"std": None, "count": 1}
    results["pairs"][0]["difference"] = summary(1.5, count=1)
    (measured,) = [r["measured"] for r in with_results(load_rows(), results) if r["config"] == NL]
    assert "std" not in measured
    assert measured["paired"]["box"]["ci95"] is None


@pytest.mark.parametrize("count", [0, 2])
def test_an_unfinished_model_leaves_its_row_alone(count):
    results = copy.deepcopy(RESULTS)
    for metric in results["models"][0]["metrics"].values():
        metric |= {"mean": 1.0 if count else None, "std": None, "count": count}
    rows = {row["config"]: row for row in with_results(load_rows(), results)}
    assert rows[BASE]["measured"] == {r["config"]: r for r in load_rows()}[BASE]["measured"]
    assert rows[NL]["measured"]["box"][0] == 61.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mixed": ["commit a and b"]}, "mixed=.*'commit a and b'"),
        ({"overrides": ["SOLVER.MAX_ITER", "4"]}, "overrides=.*SOLVER.MAX_ITER"),
        ({"models": []}, r"no model is finished under all of the seeds \[1, 2, 3\]"),
        ({"models": [model("own", 0.0)]}, r"\['own'\] are no rows of the zoo"),
    ],
)
def test_what_is_not_the_zoos_is_refused(change, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        with_results(load_rows(), {**RESULTS, **change})
