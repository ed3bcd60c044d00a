"""The computed fields of zoo.json, computed again."""

import json
from pathlib import Path

import pytest

from nonlocal_det import configs, model_zoo
from nonlocal_det.analysis import detector_costs
from nonlocal_det.model_zoo.costs import costs_of, refreshed
from nonlocal_det.model_zoo.rows import ZOO, as_text, config_sha256, get_row, load_rows

NL = "quick/nl_mask_keypoint_rcnn_R18"


@pytest.mark.parametrize("row", load_rows(), ids=lambda row: row["config"])
def test_parameters_multiply_adds_and_hash_are_those_of_the_config(row):
    name, setting, whole, blocks = costs_of(row)
    report = detector_costs(model_zoo.get_config(name), name, memory=False)
    assert (setting, row["cost"]["device"]) == (report.inference, report.device)
    assert whole.parameters == report.total.parameters
    assert whole.multiply_adds == report.total.multiply_adds
    assert blocks.parameters == report.all_blocks.parameters
    assert blocks.multiply_adds == report.all_blocks.multiply_adds
    assert row["config_sha256"] == config_sha256(name)


def test_refreshing_changes_nothing_when_nothing_has_changed():
    row = get_row(NL)
    assert refreshed({**row, "cost": None, "config_sha256": ""}) == row


def test_the_file_is_what_its_rows_give_a_line_a_row():
    assert ZOO.read_text() == as_text(load_rows())
    assert len(ZOO.read_text().splitlines()) == len(load_rows()) + 2


def test_paper_numbers_are_in_no_measured_field():
    for row in load_rows():
        assert set(row["paper"]) <= {"box", "mask", "keypoint"}
        if row["measured"]:
            assert {"command", "commit", "hardware", "versions", "seeds"} <= set(row["measured"])


def test_figures_are_where_the_rows_say():
    root = Path(__file__).parents[2]
    for row in load_rows():
        for path in row.get("figures", {}).values():
            assert (root / path).is_file(), row["config"]
            assert f"]({path})" in (root / "model_zoo.md").read_text()


def test_get_row_refuses_what_is_not_there():
    with pytest.raises(FileNotFoundError, match="did you mean nl_mask_rcnn_R50"):
        get_row("nl_mask_rcnn_R5")


@pytest.fixture
def own_configs(tmp_path, monkeypatch):
    (tmp_path / "base.yaml").write_text("MODEL: {MASK_ON: True}\nSOLVER: {MAX_ITER: 5}\n")
    monkeypatch.setattr(configs, "_root", lambda: tmp_path)

    def write(text: str) -> str:
        (tmp_path / "leaf.yaml").write_text('_BASE_: "base.yaml"\n' + text)
        return config_sha256("leaf")

    return write


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("MODEL: {MASK_ON: True}", True),  # said twice
        ("OUTPUT_DIR: elsewhere", True),
        ("VERSION: 2", True),
        ("MODEL: {MASK_ON: False}", False),
        ("SOLVER: {MAX_ITER: 6}", False),
        ("MODEL: {NONLOCAL: {}}", False),
    ],
)
def test_the_hash_is_of_the_merged_files(own_configs, text, same):
    plain = own_configs("SOLVER: {MAX_ITER: 5}")
    assert (own_configs(text) == plain) == same


def test_the_hash_holds_the_whole_nonlocal_node_but_no_default_of_detectron2(
    own_configs, monkeypatch
):
    explicit = own_configs('MODEL: {NONLOCAL: {PAIRWISE: "embedded_gaussian"}}')
    assert explicit == own_configs("MODEL: {NONLOCAL: {}}")
    assert explicit != own_configs('MODEL: {NONLOCAL: {PAIRWISE: "gaussian"}}')
    plain = own_configs("SOLVER: {MAX_ITER: 5}")
    real = configs.get_cfg

    def newer():
        cfg = real()
        cfg.MODEL.A_KEY_OF_A_LATER_DETECTRON2 = 1
        return cfg

    monkeypatch.setattr(configs, "get_cfg", newer)
    assert own_configs("SOLVER: {MAX_ITER: 5}") == plain


def test_floors_do_not_change_the_hash(own_configs):
    floors = "TEST: {DETECTIONS_PER_IMAGE: 7, EXPECTED_RESULTS: [[bbox, AP, 1, 1]]}"
    assert own_configs(floors) == own_configs("TEST: {DETECTIONS_PER_IMAGE: 7}")


def test_the_text_refuses_what_json_has_not():
    with pytest.raises(ValueError, match="JSON"):
        as_text([{"config": "a", "measured": {"box": [float("nan")]}}])
    assert json.loads(as_text([{"a": 1}, {"b": 2}])) == [{"a": 1}, {"b": 2}]
