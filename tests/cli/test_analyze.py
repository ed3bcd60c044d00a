"""What ``tools/analyze_model.py`` prints."""

import json

import pytest

from nonlocal_det.cli import analyze as costs
from nonlocal_det.cli.analyze import build_parser, cost_document

NL, BASE = "quick/nl_mask_keypoint_rcnn_R18", "quick/mask_keypoint_rcnn_R18"


def document(*words: str) -> str:
    return cost_document(build_parser().parse_args(words))


def test_one_config_by_name_with_options():
    text = document("--config-file", NL, "--proposals", "7", "MODEL.MASK_ON", "False")
    assert "7 proposals and 100 detections" in text
    assert "mask head" not in text
    assert "of it 5 NL block(s)" in text


def test_twins_and_their_difference_as_markdown():
    text = document("--config-file", NL, "--against", BASE, "--format", "markdown")
    (total,) = [line for line in text.splitlines() if line.startswith("| total")]
    assert "(+11.5%)" in total


def test_json_holds_the_numbers():
    (report,) = json.loads(document("--config-file", NL, "--format", "json", "--size", "64", "64"))
    assert report["inference"]["height"] == 64
    assert report["extra"] == report["all_blocks"]["multiply_adds"] / (
        report["total"]["multiply_adds"] - report["all_blocks"]["multiply_adds"]
    )


def test_all_configs_get_a_row_and_a_verdict(monkeypatch):
    monkeypatch.setattr(costs, "config_names", lambda: [NL, BASE])
    monkeypatch.setattr(costs, "VERDICT_CONFIGS", (NL,))
    monkeypatch.setattr(costs, "PAIRWISE", ("gaussian",))  # to be quick
    rows = document("--all", "--size", "64", "64").splitlines()
    assert sum(row.startswith(NL) for row in rows) == 1 + 1 + 3  # caption, row, variants
    found = json.loads(document("--all", "--size", "64", "64", "--format", "json"))
    assert [report["name"] for report in found["configs"]] == [NL, BASE]
    chosen = {(row["pairwise"], row["subsample"]): row["extra"] for row in found["verdicts"]}
    assert len(chosen) == 3
    assert chosen["gaussian", "none"] > chosen["gaussian", "after"] > chosen["gaussian", "before"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give either --config-file"),
        (["--all", "--config-file", NL], "give either"),
        (["--all", "--against", NL], "give either"),
        (["--config-file", NL, "--against", "quick/nope"], "no such file"),
        (["--config-file", NL, "MODEL.NOPE", "1"], "no config key MODEL.NOPE"),
    ],
)
def test_a_wrong_command_line_is_explained(words, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        document(*words)
