"""The tool that draws the long-range data, with the receptive field of the config's backbone."""

import json
import subprocess
import sys
from pathlib import Path

from nonlocal_det.engine.long_range import field_of_config, reach_of_config

TOOL = Path(__file__).parents[2] / "tools" / "make_long_range.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", str(TOOL), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_unit_is_the_field_of_the_configs_last_stage():
    assert [(n, f.size) for n, f in map(field_of_config, ["long_range/nl_beacon_R18"])] == [
        ("res4", 211)
    ]


def test_a_detection_of_the_configs_sees_less_than_one_field():
    # so an object one field away from its evidence is beyond the reach of any proposal on it
    reach = reach_of_config("long_range/nl_beacon_R18", 24, 24).box
    assert reach == 136.5  # see tests/analysis/test_reach.py
    side = reach_of_config("long_range/nl_beacon_R18", 48, 24).box + 12
    assert side < 211  # of a proposal of twice the object's size, the object at its end


def test_the_tool_draws_and_says_the_field(tmp_path):
    counts = ["--train", 1, "--val", 1, "--test", 1]
    result = run("beacon", tmp_path, *counts)
    assert result.returncode == 0, result.stderr
    target = tmp_path / "long_range" / "beacon"
    assert result.stdout == f"{target} (receptive field of res4: 211 px)\n"
    recipe = json.loads((target / "made_by.json").read_text())
    assert (recipe["receptive_field"], recipe["width"]) == (211, 320)
    refused = run("pairs", tmp_path, *counts, "--width", 128)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: level='pairs'")
    assert "Traceback" not in refused.stderr
