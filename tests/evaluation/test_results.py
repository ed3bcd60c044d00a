"""A file that cannot be evaluated is refused, and the entry named."""

import copy
import json
import math

import pytest
from drawn_results import draw_evaluation

from nonlocal_det.evaluation import check_results, read_results, read_truth

TASKS = ("bbox", "segm", "keypoints")


def drawn(task):
    return draw_evaluation(3, 4, task, num_categories=2, truths_per_image=3)


@pytest.mark.parametrize("task", TASKS)
def test_good_files_are_read(task, tmp_path):
    truth, results = drawn(task)
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert read_truth(tmp_path / "truth.json", task) == truth
    assert read_results(tmp_path / "results.json", truth, task) == results


@pytest.mark.parametrize(
    ("task", "change", "words"),
    [
        ("bbox", {"image_id": 77}, ["image_id=77", "3 images"]),
        ("bbox", {"image_id": "1"}, ["image_id='1'"]),
        ("bbox", {"category_id": 5}, ["category_id=5", "2 categories"]),
        ("bbox", {"score": math.nan}, ["score=nan", "1 finite number"]),
        ("bbox", {"score": None}, ["score=None"]),
        ("bbox", {"bbox": [0, 0, math.nan, 4]}, ["bbox=[0, 0, nan, 4]", "4 finite numbers"]),
        ("bbox", {"bbox": [0, 0, 4]}, ["bbox=[0, 0, 4]"]),
        ("bbox", {"bbox": None}, ["bbox=None"]),
        ("segm", {"bbox": [0, 0, math.inf, 4]}, ["bbox=[0, 0, inf, 4]"]),
        ("segm", {"segmentation": None}, ["segmentation=None", "RLE"]),
        ("segm", {"segmentation": [[0, 0, 1, 1, 0, 1]]}, ["segmentation=[[0", "RLE"]),
        ("segm", {"segmentation": {"size": [5, 6], "counts": "0"}}, ["size=[5, 6]", "[480, 480]"]),
        ("keypoints", {"keypoints": [1.0, 2.0, 1]}, ["keypoints=[1.0, 2.0, 1]", "51 finite"]),
        ("keypoints", {"keypoints": [math.nan] * 51}, ["keypoints=[nan", "51 finite numbers"]),
    ],
)
def test_the_entry_is_named(task, change, words):
    truth, results = drawn(task)
    results = copy.deepcopy(results)
    results[5] |= change
    with pytest.raises(ValueError) as error:
        check_results(results, truth, task, "r.json")
    message = str(error.value)
    assert message.startswith("r.json: entry 5 has ")
    assert all(word in message for word in words), message


def test_a_file_that_is_no_list_of_results_is_refused(tmp_path):
    truth, _ = drawn("bbox")
    path = tmp_path / "r.json"
    for content, words in (("{}", "list"), ("[]", "at least one"), ("[3]", "entry 0 is 3")):
        path.write_text(content)
        with pytest.raises(ValueError, match=words):
            read_results(path, truth, "bbox")
    path.write_text("{")
    with pytest.raises(ValueError, match="is not json"):
        read_results(path, truth, "bbox")
    with pytest.raises(FileNotFoundError, match=r"gone\.json"):
        read_results(tmp_path / "gone.json", truth, "bbox")
    with pytest.raises(ValueError, match="task='box'"):
        check_results([], truth, "box")


def test_an_annotation_file_must_have_what_the_task_needs(tmp_path):
    truth, _ = drawn("bbox")
    path = tmp_path / "t.json"

    def refused(task):
        path.write_text(json.dumps(truth))
        with pytest.raises(ValueError) as error:
            read_truth(path, task)
        return str(error.value)

    assert "no annotation has a segmentation; segm AP needs it" in refused("segm")
    square = [[10, 10, 20, 10, 20, 20]]
    truth["annotations"][2] |= {"segmentation": square, "bbox": [10, 10, 10, 10]}
    assert f"annotation {truth['annotations'][0]['id']}: no segmentation" in refused("segm")
    truth["annotations"][2]["category_id"] = 9
    assert f"annotation {truth['annotations'][2]['id']}: category_id is 9" in refused("bbox")
    del truth["images"]
    assert 'no list "images"' in refused("bbox")
