"""Every verb of ``python -m nonlocal_det`` is there, and is what a tool of the checkout calls."""

import argparse
import json
import math
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from nonlocal_det import __main__ as verbs
from nonlocal_det.cli import train

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.mark.parametrize("verb", verbs.VERBS)
def test_a_verb_shows_its_help(verb, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", verb, "--help"])
    with pytest.raises(SystemExit) as stop:
        verbs.main()
    assert stop.value.code == 0
    assert f"usage: python -m nonlocal_det {verb}" in capsys.readouterr().out


def test_the_verbs_are_listed_and_a_misspelt_one_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x"])
    with pytest.raises(SystemExit):
        verbs.main()
    printed = capsys.readouterr().out
    assert re.findall(r"^  (\S+)", printed, flags=re.MULTILINE) == [*verbs.VERBS]
    assert "Exit status: 0 done" in printed
    monkeypatch.setattr(sys, "argv", ["x", "trian"])
    with pytest.raises(SystemExit, match="no verb 'trian'; expected one of train"):
        verbs.main()


def test_each_tool_is_a_verb():
    homes = {f"nonlocal_det.{home}" for home, _ in verbs.VERBS.values()}
    for tool in TOOLS.glob("*.py"):
        called = re.search(r"from (nonlocal_det\S*) import main", tool.read_text())
        if tool.stem != "make_model_zoo":  # writes the checkout's documents
            assert called, tool
            assert called[1] in homes, tool
            assert import_module(called[1]).main


def test_a_training_prints_its_metrics_and_writes_them_as_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "run", lambda args: {"bbox": {"AP": 41.26, "APl": math.nan}})
    train.run_and_print(argparse.Namespace(json=tmp_path / "metrics.json"))
    printed = [re.split(r"[\s|]+", line.strip()) for line in capsys.readouterr().out.splitlines()]
    assert printed[:2] == [["box", "AP", "APl"], ["", "41.3", "-"]]
    assert json.loads((tmp_path / "metrics.json").read_text()) == {
        "bbox": {"AP": 41.26, "APl": None}
    }
