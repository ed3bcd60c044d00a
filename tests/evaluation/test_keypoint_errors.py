"""Jitter, inversion, swap and miss on hand-made people whose answer is known."""

import copy

import numpy as np
import pytest

from nonlocal_det.evaluation import (
    KeypointSpec,
    classify_keypoints,
    error_table,
    evaluate_results,
    find_keypoint_mistakes,
)
from nonlocal_det.evaluation.keypoint_errors import correct_keypoints

SPEC = KeypointSpec.of(
    ("nose", "left_eye", "right_eye"), (("left_eye", "right_eye"),), (0.05, 0.05, 0.05)
)
AREA = 10000.0  # so a distance d has similarity exp(-d^2 / (2 * 10000 * 0.1^2)) = exp(-d^2 / 200)
NOSE, LEFT, RIGHT = (50, 50), (80, 20), (20, 20)
FAR = 300  # where the second person is


def distance(similarity: float) -> float:
    return float(np.sqrt(-200 * np.log(similarity)))


def person(number=1, shift=0, visible=(2, 2, 2)):
    points = [(x + shift, y, v) for (x, y), v in zip((NOSE, LEFT, RIGHT), visible, strict=True)]
    return {
        "id": number,
        "image_id": 1,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [shift, 0, 100, 100],
        "area": AREA,
        "keypoints": [v for point in points for v in point],
        "num_keypoints": sum(v > 0 for v in visible),
    }


def truth(*people):
    return {
        "images": [{"id": 1, "height": 400, "width": 800}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": list(people),
    }


def detection(nose=NOSE, left=LEFT, right=RIGHT, score=0.9, shift=0):
    points = [float(v) for x, y in (nose, left, right) for v in (x + shift, y, 1)]
    return {"image_id": 1, "category_id": 1, "score": score, "keypoints": points}


def kinds(points, people, own=0):
    true = np.array([one["keypoints"] for one in people], dtype=float).reshape(-1, 3, 3)
    area = np.array([one["area"] for one in people])
    found = classify_keypoints(np.array(points, dtype=float), true, area, own, SPEC)
    return [kind for kind, _ in found]


def test_two_perfect_people_have_good_keypoints_only():
    people = [person(1), person(2, FAR)]
    assert kinds([NOSE, LEFT, RIGHT], people) == ["good"] * 3


@pytest.mark.parametrize(
    ("similarity", "kind"),
    [(0.851, "good"), (0.849, "jitter"), (0.501, "jitter"), (0.499, "miss"), (0.01, "miss")],
)
def test_similarity_to_the_own_place_decides(similarity, kind):
    nose = (NOSE[0], NOSE[1] + distance(similarity))
    assert kinds([nose, LEFT, RIGHT], [person()]) == [kind, "good", "good"]


def test_exchanged_eyes_are_inversions():
    assert kinds([NOSE, RIGHT, LEFT], [person()]) == ["good", "inversion", "inversion"]


def test_the_same_and_the_mirrored_place_of_another_person_are_swaps():
    left, right = (LEFT[0] + FAR, LEFT[1]), (LEFT[0] + FAR, LEFT[1])
    people = [person(1), person(2, FAR)]
    assert kinds([NOSE, left, right], people) == ["good", "swap", "swap"]
    # another kind of keypoint of another person is a miss
    nose = (LEFT[0] + FAR, LEFT[1])
    assert kinds([nose, LEFT, RIGHT], people) == ["miss", "good", "good"]


def test_between_inversion_and_swap_the_nearer_decides():
    near = person(2, RIGHT[0] - LEFT[0] + 4)  # its left eye 4 pixels right of the own right eye
    for offset, kind in ((1, "inversion"), (3, "swap")):
        left = (RIGHT[0] + offset, RIGHT[1])
        assert kinds([NOSE, left, RIGHT], [person(), near])[1] == kind


def test_an_unlabelled_keypoint_is_nothing_and_attracts_nothing():
    blind = person(1, visible=(2, 2, 0))
    assert kinds([NOSE, RIGHT, RIGHT], [blind]) == ["good", "miss", ""]
    other = person(2, FAR, visible=(0, 2, 2))
    nose = (NOSE[0] + FAR, NOSE[1])
    assert kinds([nose, LEFT, RIGHT], [person(), other])[0] == "miss"


def test_another_person_s_size_measures_the_swap():
    small = {**person(2, FAR), "area": AREA / 100}  # similarity exp(-d^2 / 2)
    nose = (NOSE[0] + FAR + 3, NOSE[1])
    assert kinds([nose, LEFT, RIGHT], [person(), small])[0] == "miss"
    assert kinds([nose, LEFT, RIGHT], [person(), person(2, FAR)])[0] == "swap"


def counts(mistakes):
    found = {}
    for one in mistakes:
        found[one.kind] = found.get(one.kind, 0) + 1
    return found


def test_people_are_matched_and_the_others_are_missed_or_background():
    nobody = {**person(3, 500, visible=(0, 0, 0))}
    data = truth(person(1), person(2, FAR), nobody)
    found = [detection(), detection(shift=150, score=0.8), detection(shift=500, score=0.7)]
    mistakes = find_keypoint_mistakes(data, found, SPEC)
    # the third lies in the box of somebody without keypoints: ignored
    assert counts(mistakes) == {"good": 3, "background": 1, "missed": 1}
    assert [one.result for one in mistakes if one.kind == "background"] == [1]
    assert [one.truth for one in mistakes if one.kind == "missed"] == [2]


def test_a_crowd_with_keypoints_is_neither_right_nor_wrong():
    crowd = {**person(2, FAR), "iscrowd": 1}
    found = [detection(), detection(left=RIGHT, shift=FAR, score=0.8)]
    mistakes = find_keypoint_mistakes(truth(person(1), crowd), found, SPEC)
    assert counts(mistakes) == {"good": 3}


def test_a_person_found_at_low_oks_is_still_that_person():
    wrong = detection(nose=(NOSE[0], NOSE[1] + 200), left=RIGHT, right=RIGHT)
    mistakes = find_keypoint_mistakes(truth(person()), [wrong], SPEC)
    assert counts(mistakes) == {"miss": 1, "inversion": 1, "good": 1}


@pytest.mark.parametrize(
    ("points", "kind", "near"),
    [
        ({"nose": (NOSE[0], NOSE[1] + distance(0.6))}, "jitter", 0.85),
        ({"nose": (NOSE[0], NOSE[1] + 100)}, "miss", 0.5),
        ({"left": (RIGHT[0] + distance(0.7), RIGHT[1])}, "inversion", 0.7),
        ({"nose": (NOSE[0] + FAR, NOSE[1] + distance(0.9))}, "swap", 0.9),
    ],
)
def test_a_corrected_keypoint_has_the_similarity_of_the_paper(points, kind, near):
    data, found = truth(person(1), person(2, FAR)), [detection(**points), detection(shift=FAR)]
    kept = copy.deepcopy((data, found))
    mistakes = find_keypoint_mistakes(data, found, SPEC)
    assert counts(mistakes) == {"good": 5, kind: 1}
    _, corrected = correct_keypoints(data, found, mistakes, kind, SPEC)
    evaluation = evaluate_results(data, corrected, "keypoints", sigmas=SPEC.sigmas)
    assert evaluation.ious[1, 1][0][0] == pytest.approx((2 + near) / 3)  # OKS by COCO
    assert (data, found) == kept


def test_correcting_the_only_mistake_gives_what_is_lost():
    # OKS (2 + 0) / 3 counts at 0.5, 0.55, 0.6, 0.65 of COCO's ten; corrected, (2 + 1) / 3 at all
    table = error_table(truth(person()), [detection(left=RIGHT)], "keypoints", SPEC)
    assert table["inversion"]["count"] == 1
    assert table["inversion"]["share"] == pytest.approx(100 / 3)
    assert table["inversion"]["dAP"] == pytest.approx(60)
    assert table["inversion"]["dAP50"] == 0
    assert sum(row["dAP"] for row in table.values()) == pytest.approx(60)


def test_background_and_missed_people_are_removed():
    data = truth(person(1), person(2, FAR))
    found = [detection(score=0.8), detection(shift=150, score=0.9)]
    table = error_table(data, found, "keypoints", SPEC)
    # false, right, of two people: precision 1/2 up to recall 1/2
    before = 100 * 51 * 0.5 / 101
    assert table["background"]["dAP"] == pytest.approx(100 * 51 / 101 - before)
    assert table["missed"]["dAP"] == pytest.approx(50 - before)
    assert table["missed"]["share"] == 50


def test_boxes_of_people_have_the_errors_of_boxes():
    found = [{**detection(), "bbox": [0, 0, 100, 100]}]
    assert "localisation" in error_table(truth(person()), found, "bbox", SPEC)


def test_keypoints_need_a_spec_of_known_names():
    with pytest.raises(ValueError, match="needs spec"):
        error_table(truth(person()), [detection()], "keypoints")
    with pytest.raises(ValueError, match="'tail'"):
        KeypointSpec.of(("nose",), (("nose", "tail"),), (0.1,))
    with pytest.raises(ValueError, match="1 keypoints, 2 OKS sigmas"):
        KeypointSpec.of(("nose",), (), (0.1, 0.1))
