from pathlib import Path

from nonlocal_det import model_zoo
from nonlocal_det.model_zoo.table import load_rows, render

DOCUMENT = Path(__file__).parents[2] / "model_zoo.md"


def test_every_config_has_its_row_and_a_baseline_stands_above_its_rows():
    rows = load_rows()
    names = [row["config"] for row in rows]
    assert sorted(names) == model_zoo.config_names()
    for row in rows:
        if row["baseline"]:
            assert names.index(row["baseline"]) < names.index(row["config"])


def test_the_document_is_what_the_data_gives():
    assert DOCUMENT.read_text() == render(load_rows())


BASE = {"config": "b", "baseline": None, "task": "keypoint", "note": "", "config_sha256": "1"}
FROM = {"command": "run", "commit": "c0ffee", "seeds": [1, 5], "hardware": "a GPU"}


def rows_with(measured: dict | None, **more: object) -> list[str]:
    nl = {**BASE, "config": "nl", "baseline": "b", "paper": {"keypoint": [66.0, 87.1, 71.7]}}
    base = {**BASE, "paper": {"keypoint": [65.1, 86.8, 70.4]}, "measured": None}
    return render([base, {**nl, "measured": measured, **more}]).splitlines()


def test_measured_and_paper_numbers_stand_apart():
    lines = rows_with({"keypoint": [60.0, 80.0, 70.0], **FROM})
    assert "| `b` | baseline | 65.1 / 86.8 / 70.4 | - | - | - |" in lines
    assert "| `nl` | baseline | 66.0 / 87.1 / 71.7 | +0.9 | 60.0 / 80.0 / 70.0 | - |" in lines
    assert "`nl` here: `run`, seeds 1, 5, commit c0ffee, a GPU" in lines


def test_a_paired_difference_shows_its_interval():
    measured = {
        "keypoint": [60.0, 80.0, 70.0],
        "std": {"keypoint": [0.25, 0.5, 1.0]},
        "paired": {"keypoint": {"mean": 0.84, "ci95": [-0.21, 1.9], "seeds": 3}},
        **FROM,
    }
    text = "\n".join(rows_with(measured))
    assert "| 60.0 ± 0.2 / 80.0 ± 0.5 / 70.0 ± 1.0 | +0.8 [-0.2, +1.9] |" in text
    measured["paired"]["keypoint"]["ci95"] = None  # one seed has none
    assert "| +0.8 |" in "\n".join(rows_with(measured))


def test_a_config_that_changed_after_its_measurement_is_marked():
    measured = {"keypoint": [60.0, 80.0, 70.0], **FROM}
    changed = "its config has changed since"
    assert changed in "\n".join(rows_with({**measured, "config_sha256": "2"}))
    assert changed not in "\n".join(rows_with({**measured, "config_sha256": "1"}))


def test_weights_are_named_with_their_hash():
    weights = {"name": "nl.pth", "url": "https://example.org/nl.pth", "sha256": "ab12"}
    lines = rows_with(None, weights=weights)
    assert "`nl` weights: [nl.pth](https://example.org/nl.pth), sha256 `ab12`" in lines


def test_the_papers_differences_are_the_papers():
    text = render(load_rows())
    assert "| `nl_mask_rcnn_R101` | 1 block in res4 | 40.8 / 63.1 / 44.5 | +1.3 | - | - |" in text
    assert "66.5 / 87.3 / 72.8 | +1.4 | - | - |" in text


def test_the_settings_of_the_costs_are_said_once():
    text = render(load_rows())
    assert "1000 (small models 50 or 30) proposals and 100 detections." in text
