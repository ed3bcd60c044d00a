"""The computed fields of zoo.json, computed again."""

import json

import pytest

from nonlocal_det import configs, model_zoo
from nonlocal_det.analysis import detector_costs
from nonlocal_det.configs import config_hash
from nonlocal_det.experiments.zoo_rows import costs_of, refresh_row
from nonlocal_det.model_zoo.rows import TASKS, ZOO, get_row, load_rows, rows_as_text

NL = "quick/nl_mask_keypoint_rcnn_R18"


def test_every_hash_is_of_the_config():
    for row in load_rows():
        assert row["config_hash"] == config_hash(model_zoo.get_config(row["config"])), row["config"]


@pytest.mark.parametrize(
    "row", [row for row in load_rows() if "cost" in row], ids=lambda row: row["config"]
)
def test_parameters_and_multiply_adds_are_those_of_the_config(row):
    name, setting, whole, blocks = costs_of(row)
    cfg = model_zoo.get_config(name)
    report = detector_costs(cfg, name, memory=False)
    assert (setting, row["cost"]["device"]) == (report.inference, report.device)
    assert whole.parameters == report.total.parameters
    assert whole.multiply_adds == report.total.multiply_adds
    assert blocks.parameters == report.all_blocks.parameters
    assert blocks.multiply_adds == report.all_blocks.multiply_adds


def test_refreshing_changes_nothing_when_nothing_has_changed():
    row = get_row(NL)
    assert refresh_row({**row, "cost": None, "config_hash": ""}) == row


def test_the_file_is_what_its_rows_give_a_line_a_row():
    assert ZOO.read_text() == rows_as_text(load_rows())
    assert len(ZOO.read_text().splitlines()) == len(load_rows()) + 2


@pytest.mark.parametrize(
    "row", [row for row in load_rows() if row["measured"]], ids=lambda row: row["config"]
)
def test_a_measured_config_is_still_what_was_measured(row):
    assert row["measured"]["config_hash"] == config_hash(model_zoo.get_config(row["config"]))


def test_paper_numbers_are_in_no_measured_field():
    for row in load_rows():
        for task, values in row["paper"].items():
            assert len(values) == len(TASKS[task].metrics)
        if row["measured"]:
            assert {"command", "commit", "hardware", "versions", "seeds"} <= set(row["measured"])


def test_get_row_refuses_what_is_not_there():
    with pytest.raises(FileNotFoundError, match="did you mean nl_mask_rcnn_R50"):
        get_row("nl_mask_rcnn_R5")


@pytest.fixture
def own_hash(tmp_path, monkeypatch):
    """The hash of a config with these lines over a base."""
    (tmp_path / "base.yaml").write_text("MODEL: {MASK_ON: True}\nSOLVER: {MAX_ITER: 5}\n")

    def own_hash(text: str) -> str:
        (tmp_path / "leaf.yaml").write_text('_BASE_: "base.yaml"\n' + text)
        return config_hash(configs.load_config(str(tmp_path / "leaf.yaml")))

    return own_hash


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("MODEL: {MASK_ON: True}", True),  # stands twice
        ("OUTPUT_DIR: elsewhere", True),
        ("TEST: {EXPECTED_RESULTS: [[bbox, AP, 1, 1]]}", True),
        ('MODEL: {NONLOCAL: {PAIRWISE: "embedded_gaussian"}}', True),  # the default
        ('MODEL: {NONLOCAL: {PAIRWISE: "gaussian"}}', False),
        ("MODEL: {MASK_ON: False}", False),
        ("SOLVER: {MAX_ITER: 6}", False),
    ],
)
def test_the_hash_is_of_the_merged_files(own_hash, text, same):
    assert (own_hash(text) == own_hash("")) == same


def test_the_hash_holds_no_default_of_detectron2(own_hash, monkeypatch):
    plain, real = own_hash(""), configs.get_cfg

    def newer():
        cfg = real()
        cfg.MODEL.A_KEY_OF_A_LATER_DETECTRON2 = 1
        return cfg

    monkeypatch.setattr(configs, "get_cfg", newer)
    assert own_hash("") == plain


def test_the_text_refuses_what_json_has_not():
    with pytest.raises(ValueError, match="JSON"):
        rows_as_text([{"config": "a", "measured": {"box": [float("nan")]}}])
    assert json.loads(rows_as_text([{"a": 1}, {"b": 2}])) == [{"a": 1}, {"b": 2}]
