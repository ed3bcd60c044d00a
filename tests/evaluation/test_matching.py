"""The error breakdowns match as COCO does: compared with pycocotools' own matches."""

import numpy as np
import pytest
from official_coco import drawn, official
from pycocotools import mask as mask_util

from nonlocal_det.evaluation.matching import detections_by_image, match, trim


@pytest.mark.parametrize("threshold", [0.5, 0.75])
def test_matches_equal_pycocotools(threshold):
    truth, results = drawn("bbox")
    reference = official(truth, results, "bbox", lambda p: setattr(p, "iouThrs", [threshold]))
    theirs = {}
    for one in filter(None, reference.evalImgs):
        if one["aRng"] == [0, 1e10]:
            ids = zip(one["dtIds"], one["dtMatches"][0], strict=True)
            theirs |= {detection - 1: int(found) for detection, found in ids}  # counted from 1
    ours, crowds = {}, 0
    for image in detections_by_image(truth, results, lambda one: bool(one["iscrowd"])):
        overlap = np.zeros(image.same_class.shape)
        if image.truths:
            overlap = mask_util.iou(
                np.array([one["bbox"] for one in image.detections]),
                np.array([one["bbox"] for one in image.truths]),
                [one["iscrowd"] for one in image.truths],
            )
        for index, found in zip(image.indices, match(overlap, image, threshold), strict=True):
            ours[index] = image.truths[found]["id"] if found >= 0 else 0
            crowds += found >= 0 and image.ignored[found]
    assert ours == theirs
    assert crowds > 0
    assert 0 < sum(found > 0 for found in ours.values()) < len(ours)


def test_equal_overlaps_go_to_the_last_object_and_a_found_one_is_not_found_again():
    truth = {"images": [{"id": 1}], "categories": [{"id": 1}]}
    truth["annotations"] = [{"id": k, "image_id": 1, "category_id": 1} for k in (1, 2)]
    results = [{"image_id": 1, "category_id": 1, "score": score} for score in (0.5, 0.9, 0.7)]
    (image,) = detections_by_image(truth, results, lambda one: False)
    assert image.indices == [1, 2, 0]
    found = match(np.full((3, 2), 0.8), image, 0.5)
    assert found.tolist() == [1, 0, -1]
    assert match(np.ones((3, 2)), image, 1.0).tolist() == [1, 0, -1]


def test_trimming_leaves_the_best_of_each_image_and_category():
    results = [
        {"image_id": image, "category_id": category, "score": score}
        for image, category, score in (
            (1, 1, 0.2),
            (1, 1, 0.9),
            (1, 2, 0.1),
            (2, 1, 0.1),
            (1, 1, 0.2),
        )
    ]
    assert trim(results, 2) == results[:4]
    assert trim(results, 3) == results
