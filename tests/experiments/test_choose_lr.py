"""Every model's learning rate: from one grid, on a split and under a seed that are not tested."""

import json

import pytest

from nonlocal_det.experiments import make_plan
from nonlocal_det.experiments.gpus import usable_cores
from nonlocal_det.experiments.rates import parse_grid
from nonlocal_det.model_zoo import learning_rates
from nonlocal_det.model_zoo.learning_rates import load_learning_rates
from nonlocal_det.model_zoo.rows import config_sha256

BASE, CONTROL, NL = (f"long_range/{role}beacon_R18" for role in ("", "control_", "nl_"))
APS = {
    **{f"{BASE} 0.01": 50.0, f"{BASE} 0.02": 60.0, f"{BASE} 0.04": 55.0},
    **{f"{CONTROL} 0.01": 61.0, f"{CONTROL} 0.02": 61.0, f"{CONTROL} 0.04": 60.0},
    **{f"{NL} 0.01": 80.0, f"{NL} 0.02": 81.0, f"{NL} 0.04": None},
}


def choose(suite, **options):
    return suite.run(None, choose_lr=True, jobs=usable_cores(), **options)


def entries(suite):
    return load_learning_rates(suite.options["lr_file"])


def test_the_best_rate_on_val_is_kept_with_all_that_was_tried(beacon, capsys):
    beacon.set_faults(ap=APS)
    assert choose(beacon) == 0
    calls = beacon.calls()
    assert len(calls) == 9
    assert {call[1] for call in calls} == {1000}
    assert all("('long_range_beacon_val',)" in call[-1] for call in calls)
    assert {entry["chosen"] for entry in entries(beacon).values()} == {0.02, 0.01}
    assert [entries(beacon)[name]["chosen"] for name in (BASE, CONTROL, NL)] == [0.02, 0.01, 0.02]
    entry = entries(beacon)[NL]
    assert entry["tried"] == {"0.01": 80.0, "0.02": 81.0, "0.04": None}
    assert (entry["metric"], entry["seed"], entry["overrides"]) == ("box AP", 1000, [])
    assert list(entry["data"]) == ["long_range_beacon_val"]
    assert entry["command"].startswith(
        "python tools/reproduce.py --suite long-range --choose-lr --lr-grid 0.01,0.02,0.04 "
    )
    said = capsys.readouterr().out
    assert f"| `{NL}` | box AP | 80.00 | 81.00 | none | **0.02** |" in said
    assert f"At the edge of the grid, so perhaps not the best: {CONTROL}." in said
    assert not (beacon.output / "results.json").exists()

    assert choose(beacon) == 0  # again: nothing to do
    assert len(beacon.calls()) == 9


def test_a_rate_that_diverges_loses_and_one_that_fails_leaves_the_choice_open(beacon, capsys):
    faults = {f"{BASE} 0.04": "diverge", f"{CONTROL} 0.02": "fail"}
    beacon.set_faults(ap=APS, **faults)
    assert choose(beacon) == 1
    assert entries(beacon).keys() == {BASE, NL}
    assert entries(beacon)[BASE]["tried"] == {"0.01": 50.0, "0.02": 60.0, "0.04": None}
    said = capsys.readouterr().out
    assert f"| `{BASE}` | box AP | 50.00 | 60.00 | diverged | **0.02** |" in said
    assert f"| `{CONTROL}` | box AP | 61.00 | - | 60.00 | - |" in said
    with pytest.raises(ValueError, match=f"{CONTROL}: no learning rate has been chosen"):
        beacon.run("2")
    beacon.set_faults(ap=APS)
    assert choose(beacon) == 0
    assert entries(beacon).keys() == {BASE, CONTROL, NL}


def test_each_model_is_trained_at_its_own_rate_on_the_test_split(beacon):
    beacon.set_faults(ap=APS)
    choose(beacon)
    (beacon.output / "calls.txt").unlink()
    assert beacon.run("1") == 0
    options = {call[0]: " ".join(call[-1]) for call in beacon.calls()}
    assert "SOLVER.BASE_LR 0.01" in options[CONTROL]
    assert "SOLVER.BASE_LR 0.02" in options[NL]
    assert not any("val" in words for words in options.values())
    rates = {m["config"]: m["learning_rate"] for m in beacon.results()["models"]}
    assert rates == {BASE: 0.02, CONTROL: 0.01, NL: 0.02}
    costs = {m["parameters"] for m in beacon.results()["models"] if m["config"] != BASE}
    assert costs == {3339418}


def write_choices(suite, **values_of_nl):
    """By hand, as if all three had been chosen."""
    common = {"chosen": 0.1, "tried": {"0.1": 5.0, "0.2": 1.0}, "seed": 1000, "overrides": []}
    common["data"] = {"long_range_beacon_val": "f0"}
    found = [
        {"config": name, "config_sha256": config_sha256(name), **common} for name in (BASE, CONTROL)
    ]
    found.append({**found[0], "config": NL, "config_sha256": config_sha256(NL), **values_of_nl})
    suite.options["lr_file"].write_text(json.dumps(found))


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        ({"config_sha256": "0"}, {}, f"{NL}: changed since"),
        ({"seed": 2}, {}, f"{NL}: .* seed 2, which is one of --seeds"),
        ({"tried": {"0.1": 50.0}}, {}, f"{NL}: tried at other rates or on other data than {BASE}"),
        ({"data": {"long_range_beacon_val": "0"}}, {}, "on other data"),
        ({}, {"overrides": ["SOLVER.MAX_ITER", "9"]}, r"the options \[\], not \['SOLVER.MAX_ITER"),
    ],
)
def test_a_choice_that_was_made_for_something_else_is_refused(beacon, values, options, words):
    write_choices(beacon)
    assert len(beacon.plan("2").runs) == 6
    write_choices(beacon, **values)
    with pytest.raises(ValueError, match=words) as error:
        beacon.plan("2", **options)
    assert "--choose-lr" in str(error.value)


def test_one_rate_for_all_must_be_said(beacon):
    with pytest.raises(ValueError, match=f"{BASE}, {CONTROL}, {NL}: no learning rate"):
        beacon.plan("1")
    plan = beacon.plan("1", overrides=["SOLVER.BASE_LR", "0.5"])
    assert {cfg.SOLVER.BASE_LR for cfg in plan.configs.values()} == {0.5}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"suite": "quick", "choose_lr": True}, "--suite quick, which has no split"),
        ({"choose_lr": True, "seeds": "3"}, "--seeds '3' with --choose-lr, which uses seed 1000"),
        ({"lr_grid": "0.1"}, "--lr-grid '0.1' without --choose-lr"),
        ({"choose_lr": True, "overrides": ["SOLVER.BASE_LR", "1"]}, "give the rates as --lr-grid"),
        ({"choose_lr": True, "overrides": ["SOLVER.MAX_ITER", "1"]}, "--lr-file FILE where"),
        ({"schedule": "1x"}, "--suite long-range, which has a schedule of its own"),
    ],
)
def test_requests_that_cannot_be_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        make_plan(**{"suite": "long-range", **arguments})


def test_the_grid_is_a_list_of_rates():
    assert parse_grid("0.04,0.01") == (0.01, 0.04)
    for text in ("", "a", "0", "-1", "0.1,0.1", "nan"):
        with pytest.raises(ValueError, match="--lr-grid"):
            parse_grid(text)


def test_the_packages_choices_are_of_configs_as_they_are():
    for config, entry in load_learning_rates().items():
        assert entry["overrides"] == [], config
        tried = {float(rate): ap for rate, ap in entry["tried"].items() if ap is not None}
        assert tried[entry["chosen"]] == max(tried.values())


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "rates.json"
    for text in ("{", "[1]", '[{"chosen": 1}]', "3"):
        path.write_text(text)
        with pytest.raises(ValueError, match="rates.json is not a list of chosen"):
            learning_rates.load_learning_rates(path)
