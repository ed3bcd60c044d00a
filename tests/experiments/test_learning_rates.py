"""A grid of learning rates reports which is best, on a split and under a seed not tested."""

import pytest

from nonlocal_det.configs import load_config
from nonlocal_det.model_zoo.rows import load_rows
from nonlocal_det.training.process_group import usable_cores

BASE, CONTROL, NL = (f"long_range/{role}beacon_R18" for role in ("", "control_", "nl_"))
APS = {
    **{f"{BASE} 0.01": 50.0, f"{BASE} 0.02": 60.0, f"{BASE} 0.04": 55.0},
    **{f"{CONTROL} 0.01": 61.0, f"{CONTROL} 0.02": 61.0, f"{CONTROL} 0.04": 60.0},
    **{f"{NL} 0.01": 80.0, f"{NL} 0.02": 81.0, f"{NL} 0.04": None},
}


@pytest.mark.parametrize(
    "row", [r for r in load_rows() if r["measured"]], ids=lambda r: r["config"]
)
def test_a_config_has_the_rate_that_its_row_was_measured_at(row):
    rate = load_config(row["config"]).SOLVER.BASE_LR
    assert row["measured"].get("learning_rate", rate) == rate


def choose(suite, **options):
    return suite.run(None, choose_lr=True, jobs=usable_cores(), **options)


def test_the_best_rate_on_val_is_reported_with_all_that_was_tried(beacon, capsys):
    beacon.set_faults(ap=APS)
    assert choose(beacon) == 0
    calls = beacon.calls()
    assert len(calls) == 9
    assert {call[1] for call in calls} == {1000}
    assert all("('long_range_beacon_val',)" in call[-1] for call in calls)
    report = (beacon.output / "learning_rates.md").read_text()
    assert report in capsys.readouterr().out
    assert f"| `{NL}` | box AP | 80.00 | 81.00 | none | **0.02** |" in report
    assert f"| `{CONTROL}` | box AP | 61.00 | 61.00 | 60.00 | **0.01** |" in report
    assert f"At the edge of the grid, so perhaps not the best: {CONTROL}." in report
    assert f"configs/{NL}.yaml: SOLVER: BASE_LR: 0.02\n" in report
    assert f"configs/{CONTROL}.yaml: SOLVER: BASE_LR: 0.01  (now 0.02)" in report
    assert "--suite long-range --choose-lr --lr-grid 0.01,0.02,0.04 --only beacon" in report
    assert not (beacon.output / "results.json").exists()

    assert choose(beacon) == 0  # again: nothing to do
    assert len(beacon.calls()) == 9


def test_a_rate_that_diverges_loses_and_one_that_fails_leaves_the_choice_open(beacon, capsys):
    beacon.set_faults(ap=APS, **{f"{BASE} 0.04": "diverge", f"{CONTROL} 0.02": "fail"})
    assert choose(beacon) == 1
    report = capsys.readouterr().out
    assert f"| `{BASE}` | box AP | 50.00 | 60.00 | diverged | **0.02** |" in report
    assert f"| `{CONTROL}` | box AP | 61.00 | - | 60.00 | - |" in report
    beacon.set_faults(ap=APS)
    assert choose(beacon) == 0
    assert f"| `{CONTROL}` | box AP | 61.00 | 61.00 | 60.00 | **0.01** |" in capsys.readouterr().out
