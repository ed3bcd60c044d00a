"""The tool: its report for people and machines, its exit status, the table of kinds."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest
from damages import one
from good_data import GoodData

from nonlocal_det.data.check import issue_table

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tool(monkeypatch, capsys):
    """Runs tools/check_dataset.py in this process: (exit status, what it printed)."""
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "check_dataset.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["check_dataset.py", *map(str, arguments)])
        status: object = 0
        try:
            module.main()
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr().out

    return run


def test_good_data_is_usable(tool, good: GoodData) -> None:
    status, text = tool(*good.write())
    assert status == 0
    assert "4 images, 13 annotations, 4 images read" in text
    assert text.rstrip().endswith("good.json: usable")


def test_the_report_names_file_image_and_annotation(tool, good: GoodData, tmp_path: Path) -> None:
    one(bbox=[35, 11, -12, 14])(good)
    good.content["annotations"][5]["num_keypoints"] = 9
    for annotation in good.content["annotations"][6:11]:
        annotation.pop("area")
    report = tmp_path / "report.json"
    status, text = tool(*good.write(), "--json", report, "--examples", 2)
    assert status == 3
    assert "box_negative x 1" in text
    assert "- 1.png, image 1, annotation 4: bbox is [35.0, 11.0, -12.0, 14.0]" in text
    assert "num_keypoints_wrong x 1" in text
    assert "area_absent x 5" in text
    assert "... and 3 more" in text
    assert "2 problems of 2 kinds stop a training" in text
    assert text.index("box_negative") < text.index("area_absent")  # the worst first
    content = json.loads(report.read_text())
    assert content["stops"] is True
    by_kind = {finding["kind"]: finding for finding in content["findings"]}
    assert by_kind["box_negative"]["examples"] == [
        {
            "file": "1.png",
            "image_id": 1,
            "annotation_id": 4,
            "detail": "bbox is [35.0, 11.0, -12.0, 14.0], the image is 64 x 48",
        }
    ]
    assert (by_kind["area_absent"]["count"], by_kind["area_absent"]["stops"]) == (5, False)


def test_parts_can_be_left_out_and_a_clean_copy_written(
    tool, good: GoodData, tmp_path: Path
) -> None:
    one(num_keypoints=9)(good)
    files = good.write()
    assert tool(*files, "--without", "keypoints")[0] == 0
    status, text = tool(*files, "--clean", tmp_path / "clean.json")
    assert status == 3
    assert "clean.json: without 0 images and 0 annotations, 1 corrected" in text
    assert tool(tmp_path / "clean.json", files[1])[0] == 0


@pytest.mark.parametrize(("images", "status"), [("none", 0), ("sample", 3), ("all", 3)])
def test_images_are_read_as_asked(tool, good: GoodData, images: str, status: int) -> None:
    good.path.write_bytes(good.path.read_bytes()[:-500])
    assert tool(*good.write(), "--images", images)[0] == status


def test_images_are_read_where_the_system_has_no_affinity(tool, good: GoodData, monkeypatch):
    """As on macOS and Windows."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert tool(*good.write())[0] == 0


def test_test_data_is_compared_with_training_data(tool, good: GoodData, tmp_path: Path) -> None:
    other = GoodData(tmp_path / "other")
    status, text = tool(*good.write(), "--train", *other.write())
    assert status == 3
    assert "splits_share_images x 4" in text


def test_a_folder_that_is_not_there_is_an_error(tool, good: GoodData, tmp_path: Path) -> None:
    status, _ = tool(good.write()[0], tmp_path / "nowhere")
    assert "image folder" in str(status)
    assert "does not exist" in str(status)
    assert tool()[0] == 2


def test_the_document_has_the_table_of_kinds(tool) -> None:
    assert tool("--kinds") == (0, issue_table() + "\n")
    assert issue_table() in (ROOT / "docs" / "bad_data.md").read_text()


def test_the_sample_is_spread_over_the_data(tool, good: GoodData, monkeypatch) -> None:
    from nonlocal_det.data.check import image_files

    monkeypatch.setattr(image_files, "SAMPLE", 2)
    assert "2 images read" in tool(*good.write())[1]
    (good.root / "4.png").write_bytes(b"x")  # the last one is among them
    assert tool(*good.write())[0] == 3
