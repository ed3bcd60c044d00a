"""Every summary number equals pycocotools', on drawn data with all that is awkward in COCO."""

import copy
import re

import numpy as np
import pytest
from faster_coco_eval import COCOeval_faster
from official_coco import TASKS, drawn, official
from pycocotools import mask as mask_utils
from pycocotools.cocoeval import COCOeval

from nonlocal_det.evaluation import (
    KeypointSpec,
    by_crowdedness,
    by_size,
    error_table,
    summary,
)
from nonlocal_det.evaluation import evaluate_results as evaluate

SPEC = KeypointSpec.of(("left", "right"), (("left", "right"),), (0.05, 0.05))


def stats(evaluation: COCOeval) -> np.ndarray:
    evaluation.summarize()
    return evaluation.stats


@pytest.fixture(params=TASKS)
def task(request):
    return request.param


def test_the_drawn_data_has_all_that_is_awkward(task):
    truth, results = drawn(task)
    annotations = truth["annotations"]
    assert any(one["iscrowd"] for one in annotations)
    assert len({one["image_id"] for one in annotations}) < len(truth["images"])
    assert 7 in {one["image_id"] for one in annotations}  # objects without a detection
    scores = [one["score"] for one in results]
    assert len(set(scores)) < len(scores) / 4
    if task == "keypoints":
        assert any(one["num_keypoints"] == 0 for one in annotations)
    sizes = {32**2: 0, 96**2: 0, 1e10: 0}
    for one in annotations:
        sizes[min(limit for limit in sizes if one["area"] <= limit)] += 1
    assert min(sizes.values()) > 5


def test_every_number_equals_pycocotools(task):
    truth, results = drawn(task)
    ours, theirs = evaluate(truth, results, task), stats(official(truth, results, task))
    assert len(theirs) == (10 if task == "keypoints" else 12)
    assert (theirs > 0.02).all()
    assert np.abs(np.array(ours.stats) - theirs).max() <= 1e-12
    assert list(summary(ours).values()) == pytest.approx(100 * theirs, abs=1e-10)


@pytest.mark.parametrize("change", [{}, {"num_keypoints": None}])
def test_an_absent_number_of_keypoints_changes_nothing(change):
    truth, results = drawn("keypoints")
    bare = copy.deepcopy(truth)
    for one in bare["annotations"]:
        del one["num_keypoints"]
        one |= change
    expected = summary(evaluate(truth, results, "keypoints"))
    assert summary(evaluate(bare, results, "keypoints")) == expected


def test_precision_of_every_category_equals_pycocotools(task):
    truth, results = drawn(task)
    truth["categories"].append({"id": 9, "name": "never there"})
    ours, theirs = evaluate(truth, results, task), official(truth, results, task)
    for key in ("precision", "recall"):
        assert np.abs(ours.eval[key] - theirs.eval[key]).max() <= 1e-12
    assert (np.array(ours.eval["precision"])[:, :, -1] == -1).all()


def test_every_oks_is_the_librarys_bit_for_bit():
    truth, results = drawn("keypoints")
    evaluation = evaluate(truth, results, "keypoints")
    for (image, category), ours in evaluation.ious.items():
        theirs = COCOeval_faster.computeOks(evaluation, image, category)
        assert np.array_equal(ours, theirs)
    assert sum(np.size(ours) for ours in evaluation.ious.values()) > 500
    assert any(one["num_keypoints"] == 0 for one in truth["annotations"])


def test_other_sigmas_detections_and_images_equal_pycocotools(task):
    truth, results = drawn(task)
    sigmas = np.linspace(0.02, 0.3, 17)
    images = [3, 4, 5, 11]

    def change(params):
        params.imgIds = images
        if task == "keypoints":
            params.kpt_oks_sigmas = sigmas
        else:
            params.maxDets = [1, 2, 100]

    theirs = stats(official(truth, results, task, change))
    if task == "keypoints":
        ours = evaluate(truth, results, task, image_ids=images, sigmas=sigmas)
        assert np.abs(np.array(ours.stats) - theirs).max() <= 1e-12
    else:  # pycocotools has AP at 100 detections only, and AR at each number
        ours = evaluate(truth, results, task, image_ids=images, max_dets=2)
        assert summary(ours)["AR2"] == pytest.approx(100 * theirs[7])
    whole = evaluate(truth, results, task)
    assert np.abs(np.array(ours.stats) - np.array(whole.stats)).max() > 0.01


def test_the_arguments_stay_as_they_are(task):
    truth, results = drawn(task)
    kept = copy.deepcopy((truth, results))
    evaluate(truth, results, task)
    assert (truth, results) == kept


def test_keypoints_without_a_box_have_their_own():
    truth, results = drawn("keypoints")
    for one in results:
        del one["bbox"]
    ours = evaluate(truth, results, "keypoints")
    theirs = stats(official(truth, results, "keypoints"))
    assert np.abs(np.array(ours.stats) - theirs).max() <= 1e-12


def test_rows_by_size_are_the_summary_and_medium_has_its_ap50(task):
    truth, results = drawn(task)
    truth["categories"].append({"id": 9, "name": "never there"})
    evaluation = evaluate(truth, results, task)
    numbers, rows = summary(evaluation), by_size(evaluation)
    for size, suffix in (("small", "s"), ("medium", "m"), ("large", "l")):
        if task == "keypoints" and size == "small":
            assert size not in rows
            continue
        assert rows[size]["AP"] == pytest.approx(numbers[f"AP{suffix}"], abs=1e-10)
        assert rows[size]["AR"] == pytest.approx(numbers[f"AR{suffix}"], abs=1e-10)
    assert rows["all"]["AP50"] == pytest.approx(numbers["AP50"], abs=1e-10)
    theirs = official(truth, results, task)
    precision = theirs.eval["precision"][0, :, :, theirs.params.areaRngLbl.index("medium"), -1]
    expected = 100 * precision[precision > -1].mean()
    assert rows["medium"]["AP50"] == pytest.approx(expected, abs=1e-10)


def test_rows_by_crowdedness_equal_pycocotools_on_their_images(task):
    truth, results = drawn(task)
    rows = by_crowdedness(truth, results, task, bins=((1, 2), (3, 3), (4, None)))
    assert list(rows) == ["1-2", "3", "4+"]
    counts = {}
    for one in truth["annotations"]:
        if not one["iscrowd"] and one.get("num_keypoints", 1) > 0:
            counts[one["image_id"]] = counts.get(one["image_id"], 0) + 1
    for row, numbers in zip(rows.values(), ({1, 2}, {3}, set(range(4, 99))), strict=True):
        images = [image for image, count in counts.items() if count in numbers]
        assert row["images"] == len(images) > 0
        assert row["objects"] == sum(counts[image] for image in images)
        theirs = stats(
            official(truth, results, task, lambda p, images=images: setattr(p, "imgIds", images))
        )
        assert [row["AP"], row["AP50"], row["AP75"]] == pytest.approx(100 * theirs[:3], abs=1e-10)


def test_a_bin_without_images_has_no_ap():
    truth, results = drawn("bbox")
    row = by_crowdedness(truth, results, "bbox", bins=((90, 99),))["90-99"]
    assert row["images"] == 0
    assert np.isnan(row["AP"])


@pytest.mark.parametrize("bad", [(0, 1), (3, 2)])
def test_a_bin_that_cannot_be_is_refused(bad):
    truth, results = drawn("bbox")
    with pytest.raises(ValueError, match="lowest <= highest"):
        by_crowdedness(truth, results, "bbox", bins=(bad,))


def objects_and_perfect_results():
    """Four squares of 40 px with masks, areas and two keypoints, and their detections."""
    annotations, results = [], []
    for k in range(4):
        x, y = 20.0 + 80 * (k % 2), 20.0 + 80 * (k // 2)
        box = [x, y, 40.0, 40.0]
        points = [x + 5, y + 5, 2, x + 30, y + 30, 2]
        outline = [[x, y, x + 40, y, x + 40, y + 40, x, y + 40]]
        row = {"image_id": 1, "category_id": 1, "bbox": box, "keypoints": points}
        rle = mask_utils.merge(mask_utils.frPyObjects(outline, 200, 200))
        rle["counts"] = rle["counts"].decode()
        annotations.append(
            {**row, "id": k + 1, "iscrowd": 0, "area": 1600.0, "segmentation": outline}
            | {"num_keypoints": 2}
        )
        moved = [value + 1 if index % 3 < 2 else 2 for index, value in enumerate(points)]
        results.append({**row, "keypoints": moved, "score": 0.9, "segmentation": rle})
    images = [{"id": 1, "file_name": "a.png", "width": 200, "height": 200}]
    categories = [{"id": 1, "name": "a"}]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    return truth, results


@pytest.mark.parametrize("task", ["bbox", "keypoints"])
@pytest.mark.parametrize("area", [0, 0.04, -3, None, "12", float("nan"), 1e9, "absent"])
def test_an_area_that_cannot_be_true_is_the_objects_own(task, area, caplog):
    truth, results = objects_and_perfect_results()
    sigmas = (0.05, 0.05) if task == "keypoints" else ()
    expected = summary(evaluate(truth, results, task, sigmas=sigmas))
    assert expected["AP"] > 50
    for row in truth["annotations"]:
        row["area"] = area
        if area == "absent":
            del row["area"], row["iscrowd"]
    found = summary(evaluate(truth, results, task, sigmas=sigmas))
    assert str(found) == str(expected)  # nan is not equal to itself
    assert ("own areas in 4 annotations" in caplog.text) == (area != "absent")


BLANK = {"size": [200, 200], "counts": [200 * 200]}


@pytest.mark.parametrize("task", ["bbox", "segm", "keypoints"])
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"bbox": [50, 50, 0, 0]}, "leaves out 1 annotations whose boxes have no width"),
        ({"bbox": [220, 50, 10, 10]}, "leaves out 1 annotations whose boxes lie outside"),
        ({"bbox": [50, 50, 9, 9], "segmentation": [[50, 50, 59, 59]]}, "leaves out 1 .* polygons"),
        ({"bbox": [50, 50, 9, 9], "segmentation": BLANK}, "leaves out 1 .* masks have no pixel"),
        ({"bbox": [50, 50, 9, 9], "image_id": 7}, ""),
    ],
)
def test_what_training_leaves_out_does_not_count(task, row, said, caplog):
    truth, results = objects_and_perfect_results()
    sigmas = (0.05, 0.05) if task == "keypoints" else ()
    expected = str(summary(evaluate(truth, results, task, sigmas=sigmas)))
    points = {"keypoints": [55, 55, 2, 0, 0, 0], "num_keypoints": 1}
    outline = {"segmentation": [[50, 50, 59, 50, 59, 59]]}
    row = {"id": 9, "image_id": 1, "category_id": 1, "area": 60, **points, **outline, **row}
    truth["annotations"].append(row)
    assert str(summary(evaluate(truth, results, task, sigmas=sigmas))) == expected
    assert re.search(said, caplog.text)
    missed = error_table(truth, results, task, SPEC)["missed"]
    assert (missed["count"], missed["share"]) == (0, 0)


@pytest.mark.parametrize("task", ["bbox", "segm", "keypoints"])
def test_what_training_corrects_is_corrected(task, caplog):
    """A box over the edge is clipped, a keypoint outside of the image is not labelled."""
    truth, results = objects_and_perfect_results()
    sigmas = (0.05, 0.05) if task == "keypoints" else ()
    expected = summary(evaluate(truth, results, task, sigmas=sigmas))
    first = truth["annotations"][0] | {"bbox": [-30.0, 20.0, 90.0, 40.0]}
    results[0]["bbox"] = [0.0, 20.0, 60.0, 40.0]
    first["keypoints"] = [*first["keypoints"][:3], -9, 50, 2]
    truth["annotations"][0] = first | {"segmentation": first["segmentation"] + [[1, 2, 3]]}
    numbers = summary(evaluate(truth, results, task, sigmas=sigmas))
    assert numbers["AP"] == pytest.approx(expected["AP"])
    assert "clips the boxes of 1 annotations" in caplog.text
    assert ("keypoints outside of their images in 1 " in caplog.text) == (task == "keypoints")


def test_more_objects_than_coco_counts_can_count():
    """300 boxes, and 25 people with keypoints, of which COCO counts 100 and 20."""
    rows = [
        {"id": k + 1, "image_id": 1, "category_id": 1, "area": 64, "iscrowd": 0, "num_keypoints": 2}
        | {"bbox": [10 * (k % 20), 10 * (k // 20), 8, 8]}
        | {"keypoints": [10 * (k % 20) + 1, 10 * (k // 20) + 1, 2] * 2}
        for k in range(300)
    ]
    images = [{"id": 1, "file_name": "a.png", "width": 200, "height": 150}]
    for task, objects, usual in (("bbox", 300, 100), ("keypoints", 25, 20)):
        truth = {"images": images, "annotations": rows[:objects]}
        truth["categories"] = [{"id": 1, "name": "a"}]
        results = [{**row, "score": 0.9} for row in rows[:objects]]
        options = {"sigmas": (0.05, 0.05)} if task == "keypoints" else {}
        assert summary(evaluate(truth, results, task, **options))["AP"] < 100 * usual / objects + 1
        numbers = summary(evaluate(truth, results, task, max_dets=objects, **options))
        assert numbers["AP"] == pytest.approx(100)
        assert numbers["AR" if task == "keypoints" else "AR300"] == pytest.approx(100)
        errors = error_table(truth, results, task, SPEC, max_dets=objects)
        assert errors["missed"]["count"] == 0
        missed = error_table(truth, results, task, SPEC)["missed"]["count"]
        assert missed == objects - usual
        rows_by_number = by_crowdedness(truth, results, task, max_dets=objects, **options)
        (row,) = (row for row in rows_by_number.values() if row["images"])
        assert row["AP"] == pytest.approx(100)
