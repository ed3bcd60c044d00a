import re
from pathlib import Path

import pytest

from nonlocal_det import model_zoo
from nonlocal_det.experiments.zoo_tables import fill_tables, render_zoo
from nonlocal_det.model_zoo.rows import load_rows

ROOT = Path(__file__).parents[2]
DOCUMENT, LONG_RANGE = ROOT / "model_zoo.md", ROOT / "docs" / "long_range.md"


def test_every_config_has_its_row_and_a_baseline_stands_above_its_rows():
    rows = load_rows()
    names = [row["config"] for row in rows]
    assert sorted(names) == model_zoo.config_names()
    for row in rows:
        if row["baseline"]:
            assert names.index(row["baseline"]) < names.index(row["config"])


def test_the_documents_are_what_the_data_gives():
    assert DOCUMENT.read_text() == render_zoo(load_rows())
    text = LONG_RANGE.read_text()
    assert text == fill_tables(text, load_rows())
    assert "| `long_range/nl_beacon_R18` | 1 block in res4 | 0.02 | 84.4 ± 1.7 |" in text


def test_markers_and_baselines_must_be_the_same():
    text = LONG_RANGE.read_text().replace("<!-- table: local_R18 -->", "<!-- table: far_R18 -->")
    with pytest.raises(ValueError, match="'far_R18'.*expected .*'local_R18'"):
        fill_tables(text, load_rows())


def test_the_readme_quotes_the_quick_rows_numbers():
    (row,) = [r for r in load_rows() if r["config"] == "quick/nl_mask_keypoint_rcnn_R18"]
    measured, readme = row["measured"], (ROOT / "README.md").read_text()
    values = [f"{task} AP {measured[task][0]:.1f}" for task in ("box", "mask", "keypoint")]
    assert ", ".join(values) in readme
    for task in ("mask", "keypoint"):  # worse, with an interval that excludes 0: said there too
        mean, (low, high) = measured["paired"][task]["mean"], measured["paired"][task]["ci95"]
        assert f"{task} AP {mean:+.1f} [{low:+.1f}, {high:+.1f}]" in readme


def test_pictures_of_the_long_range_document_are_there():
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", LONG_RANGE.read_text())
    assert len(pictures) == 6
    assert all((LONG_RANGE.parent / path).is_file() for path in pictures)


@pytest.mark.parametrize(
    "words",
    [
        "| -0.4 [-2.1, +1.2] |",  # the quick suite's keypoints
        "| `nl_mask_rcnn_R101` | 1 block in res4 | 40.8 / 63.1 / 44.5 | +1.3 | - | - |",  # Table 5
        "66.5 / 87.3 / 72.8 | +1.4 | - | - |",  # Table 6
        "1000 (small models 50 or 30) proposals and 100 detections.",
    ],
)
def test_the_zoo_says_the_papers_numbers_the_measured_ones_and_the_settings(words):
    assert words in DOCUMENT.read_text()


BASE = {"config": "b", "baseline": None, "task": "keypoint", "note": "", "config_hash": "1"}
FROM = {"command": "run", "commit": "c0ffee", "seeds": [1, 5], "hardware": "a GPU"}


def rows_with(measured: dict | None, **more: object) -> list[str]:
    nl = {**BASE, "config": "nl", "baseline": "b", "paper": {"keypoint": [66.0, 87.1, 71.7]}}
    base = {**BASE, "paper": {"keypoint": [65.1, 86.8, 70.4]}, "measured": None}
    return render_zoo([base, {**nl, "measured": measured, **more}]).splitlines()


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


def test_what_is_worse_is_bold_and_said_below_the_table():
    paired = {"keypoint": {"mean": -4.1, "ci95": [-6.8, -1.4], "seeds": 2}}
    lines = rows_with({"keypoint": [60.0, 80.0, 70.0], "paired": paired, **FROM})
    assert any(line.endswith("| **-4.1 [-6.8, -1.4]** |") for line in lines)
    said = (
        "`nl` is below its baseline, with an interval that excludes 0 over 2 seeds, in keypoint AP "
    )
    assert said + "**-4.1 [-6.8, -1.4]**." in lines


def test_a_config_that_changed_after_its_measurement_is_marked():
    measured = {"keypoint": [60.0, 80.0, 70.0], **FROM}
    changed = "its config has changed since"
    assert changed in "\n".join(rows_with({**measured, "config_hash": "2"}))
    assert changed not in "\n".join(rows_with({**measured, "config_hash": "1"}))


def test_weights_are_named_with_their_hash():
    weights = {"name": "nl.pth", "url": "https://example.org/nl.pth", "sha256": "ab12"}
    lines = rows_with(None, weights=weights)
    assert "`nl` weights: [nl.pth](https://example.org/nl.pth), sha256 `ab12`" in lines
