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


def test_measured_and_paper_numbers_stand_apart():
    base = {"config": "b", "baseline": None, "task": "keypoint", "note": ""}
    rows = [
        {**base, "paper": {"keypoint": [65.1, 86.8, 70.4]}, "measured": None},
        {
            **base,
            "config": "nl",
            "baseline": "b",
            "paper": {"keypoint": [66.0, 87.1, 71.7]},
            "measured": {"keypoint": [60.0, 80.0, 70.0], "how": "`command`, commit, machine"},
        },
    ]
    lines = render(rows).splitlines()
    assert "| `b` | baseline | 65.1 / 86.8 / 70.4 | - | - | - |" in lines
    assert "| `nl` | baseline | 66.0 / 87.1 / 71.7 | +0.9 | 60.0 / 80.0 / 70.0 | - |" in lines
    assert "`nl` here: `command`, commit, machine" in lines


def test_the_papers_differences_are_the_papers():
    text = render(load_rows())
    assert "| `nl_mask_rcnn_R101` | 1 block in res4 | 40.8 / 63.1 / 44.5 | +1.3 | - | - |" in text
    assert "66.5 / 87.3 / 72.8 | +1.4 | - | - |" in text
