"""The whole of it, on files, as the tools call it."""

import json
import runpy
import sys
from pathlib import Path

import pytest
from drawn_results import draw_evaluation

from nonlocal_det.evaluation import analyze_files

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def files(tmp_path):
    def write(task):
        truth, results = draw_evaluation(12, 8, task, num_categories=2, truths_per_image=2, seed=1)
        if task == "keypoints":
            names = [f"{side}_{k}" for k in range(8) for side in ("left", "right")] + ["nose"]
            truth["categories"][0] |= {"keypoints": names, "oks_sigmas": [0.05] * 17}
        worse = [{**one, "score": 1 - one["score"]} for one in results]
        for name, content in (("truth", truth), ("this", results), ("other", worse)):
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return [tmp_path / f"{name}.json" for name in ("truth", "this", "other")]

    return write


@pytest.mark.parametrize("task", ["bbox", "segm", "keypoints"])
def test_all_sections_are_there_and_written(task, files, tmp_path):
    truth, results, _ = files(task)
    text = analyze_files(truth, results, task, json_path=tmp_path / "out.json")
    blocks = text.split("\n\n")
    heads = [block[:22].strip() for block in blocks]
    assert heads == ["summary", "size", "objects in the image", "errors"]
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["task"] == task
    errors = content["this"]["errors"]
    assert sum(row["count"] for row in errors.values()) > 20
    for kind, row in errors.items():
        line = next(line for line in text.splitlines() if line.startswith(kind))
        assert line.split() == [
            kind, f"{row['count']:.0f}", *(f"{row[key]:.2f}" for key in ("share", "dAP", "dAP50"))
        ]  # fmt: skip


def test_two_files_side_by_side_show_the_difference(files, tmp_path):
    truth, results, other = files("bbox")
    text = analyze_files(truth, results, "bbox", other, tmp_path / "out.json")
    content = json.loads((tmp_path / "out.json").read_text())
    this, that = (content[name]["summary"]["AP50"]["value"] for name in ("this", "other"))
    assert this > that + 1
    line = next(line for line in text.splitlines() if line.startswith("AP50"))
    assert line.split() == ["AP50", f"{this:.2f}", f"{that:.2f}", f"+{this - that:.2f}"]
    # no image has so many objects: null in json, "-" in the text
    assert content["this"]["objects in the image"]["8+"]["AP"] is None
    assert next(line for line in text.splitlines() if line.startswith("8+, AP ")).split()[-1] == "-"


def test_sigmas_of_the_annotation_file_are_used(files):
    truth, results, _ = files("keypoints")
    content = json.loads(truth.read_text())
    before = analyze_files(truth, results, "keypoints")
    content["categories"][0]["oks_sigmas"] = [0.2] * 17
    truth.write_text(json.dumps(content))
    assert analyze_files(truth, results, "keypoints") != before


def test_the_tools_run_and_name_a_bad_entry(files, monkeypatch, capsys):
    truth, results, other = files("bbox")

    def run(tool, *arguments):
        monkeypatch.setattr(sys, "argv", [tool, *map(str, arguments)])
        runpy.run_path(str(TOOLS / tool), run_name="__main__")
        return capsys.readouterr().out

    assert "difference" in run("analyze_errors.py", truth, results, "--against", other)
    entries = json.loads(results.read_text())
    entries[3]["image_id"] = 99
    results.write_text(json.dumps(entries))
    with pytest.raises(SystemExit, match="entry 3 has image_id=99") as error:
        run("analyze_errors.py", truth, results)
    assert str(error.value).startswith(f"error: {results}")
