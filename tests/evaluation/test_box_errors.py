"""TIDE's six errors on hand-made images whose outcome is known."""

import copy

import pytest
from pycocotools import mask as mask_util

from nonlocal_det.evaluation import error_table, evaluate_results, find_box_mistakes
from nonlocal_det.evaluation.matching import Mistake
from nonlocal_det.evaluation.summary import summary

CAT, DOG = 1, 2


def truth(*objects, crowd=()):
    """Objects as (category, box), in one image."""
    annotations = [
        {"id": 10 + k, "image_id": 1, "category_id": category, "bbox": box, "iscrowd": k in crowd}
        for k, (category, box) in enumerate(objects)
    ]
    for one in annotations:
        one["area"] = one["bbox"][2] * one["bbox"][3]
        x, y, width, height = one["bbox"]
        one["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    return {
        "images": [{"id": 1, "height": 200, "width": 200}],
        "categories": [{"id": CAT, "name": "cat"}, {"id": DOG, "name": "dog"}],
        "annotations": annotations,
    }


def results(*detections):
    """Detections as (category, box, score)."""
    found = []
    for category, box, score in detections:
        one = {"image_id": 1, "category_id": category, "bbox": box, "score": score}
        x, y, width, height = box
        outline = [[x, y, x + width, y, x + width, y + height, x, y + height]]
        rle = mask_util.frPyObjects([[float(v) for v in outline[0]]], 200, 200)[0]
        one["segmentation"] = {"size": rle["size"], "counts": rle["counts"].decode()}
        found.append(one)
    return found


BOX, ELSEWHERE = [0, 0, 100, 100], [120, 120, 50, 50]
SHIFTED = [50, 0, 100, 100]  # IoU 50 / 150 with BOX
BARELY = [92, 0, 100, 100]  # IoU 8 / 192 with BOX


@pytest.mark.parametrize("task", ["bbox", "segm"])
@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        ((CAT, BOX), []),
        ((CAT, SHIFTED), [Mistake("localisation", 0, 10)]),
        ((DOG, BOX), [Mistake("classification", 0, 10)]),
        ((DOG, SHIFTED), [Mistake("both", 0), Mistake("missed", truth=10)]),
        ((CAT, BARELY), [Mistake("background", 0), Mistake("missed", truth=10)]),
        ((DOG, BARELY), [Mistake("background", 0), Mistake("missed", truth=10)]),
        ((CAT, ELSEWHERE), [Mistake("background", 0), Mistake("missed", truth=10)]),
    ],
    ids=lambda value: None,
)
def test_one_detection_of_one_cat(task, detection, expected):
    assert find_box_mistakes(truth((CAT, BOX)), results((*detection, 0.5)), task) == expected


def test_a_second_detection_is_a_duplicate():
    found = results((CAT, [2, 0, 100, 100], 0.6), (CAT, BOX, 0.5), (CAT, SHIFTED, 0.4))
    assert find_box_mistakes(truth((CAT, BOX)), found, "bbox") == [
        Mistake("duplicate", 1),
        Mistake("localisation", 2),  # of a cat that has been found: correcting it finds nothing
    ]


def test_localisation_comes_before_classification():
    data = truth((CAT, BOX), (DOG, SHIFTED))
    (first, *_) = find_box_mistakes(data, results((CAT, SHIFTED, 0.5)), "bbox")
    assert first == Mistake("localisation", 0, 10)


def test_what_lies_in_a_crowd_is_no_mistake_and_a_crowd_is_not_missed():
    data = truth((CAT, BOX), crowd=(0,))
    assert find_box_mistakes(data, results((CAT, [10, 10, 20, 20], 0.5)), "bbox") == []
    assert find_box_mistakes(data, results((DOG, [10, 10, 20, 20], 0.5)), "bbox") == [
        Mistake("background", 0)
    ]


def test_an_image_without_objects_has_background_only():
    data = truth()
    data["annotations"] = []
    assert find_box_mistakes(data, results((CAT, BOX, 0.5)), "bbox") == [Mistake("background", 0)]


@pytest.mark.parametrize("task", ["bbox", "segm"])
def test_correcting_the_only_mistake_gives_full_ap(task):
    for detection, kind in (
        ((CAT, SHIFTED), "localisation"),
        ((DOG, BOX), "classification"),
    ):
        table = error_table(truth((CAT, BOX)), results((*detection, 0.5)), task)
        assert table[kind]["dAP"] == pytest.approx(100)
        assert table[kind]["dAP50"] == pytest.approx(100)
        assert table[kind]["count"] == 1
        assert table[kind]["share"] == 100
        assert sum(row["dAP"] for row in table.values()) == pytest.approx(100)


@pytest.mark.parametrize(
    ("false", "kind"),
    [((CAT, BOX), "duplicate"), ((CAT, ELSEWHERE), "background"), ((CAT, SHIFTED), "localisation")],
)
def test_removing_a_false_detection_between_two_right_ones(false, kind):
    # scores: right, false, right: precision 1, 1/2, 2/3, so AP = (51 + 50 * 2/3) / 101
    data = truth((CAT, BOX), (CAT, [0, 150, 40, 40]))
    found = results((CAT, BOX, 0.9), (*false, 0.8), (CAT, [0, 150, 40, 40], 0.7))
    before = (51 + 50 * 2 / 3) / 101 * 100
    assert summary(evaluate_results(data, found, "bbox"))["AP"] == pytest.approx(before)
    table = error_table(data, found, "bbox")
    assert table[kind]["dAP"] == pytest.approx(100 - before)
    assert table[kind]["share"] == pytest.approx(100 / 3)


def test_a_missed_object_counts_as_not_there_once_corrected():
    data = truth((CAT, BOX), (CAT, [0, 150, 40, 40]))
    data["annotations"][1] |= {"keypoints": [0, 0, 0], "num_keypoints": 0}  # of no weight here
    table = error_table(data, results((CAT, BOX, 0.9)), "bbox")
    assert table["missed"]["dAP"] == pytest.approx(100 - 100 * 51 / 101)
    assert table["missed"]["share"] == 50


def test_of_two_corrections_of_one_object_the_better_scored_stays():
    found = results((DOG, BOX, 0.4), (DOG, [1, 0, 100, 100], 0.8))
    kept = copy.deepcopy(found)
    data = truth((CAT, BOX))
    table = error_table(data, found, "bbox")
    assert table["classification"]["count"] == 2
    # had both become cats, the second would be a false positive, of no weight: so look inside
    from nonlocal_det.evaluation.box_errors import correct_boxes

    mistakes = find_box_mistakes(data, found, "bbox")
    _, corrected = correct_boxes(data, found, mistakes, "classification", "bbox")
    assert [(one["category_id"], one["score"]) for one in corrected] == [(CAT, 0.8)]
    assert found == kept


def test_detections_beyond_coco_s_hundred_do_not_move_up():
    data = truth((CAT, BOX))
    false = [(CAT, ELSEWHERE, 0.9)] * 100
    table = error_table(data, results(*false, (CAT, BOX, 0.1)), "bbox")
    assert table["background"]["count"] == 100
    assert table["background"]["dAP"] == 0
    assert table["missed"]["count"] == 1
