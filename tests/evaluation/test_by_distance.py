"""Right, wrong and missed by distance, on hand-made objects and figures whose outcome is known."""

import json
import math

import pytest

from nonlocal_det.evaluation import accuracy_by_distance

LIMBS = range(5, 17)  # COCO's: shoulders, elbows, wrists, hips, knees, ankles, left then right
NAMES = ["nose", "left_eye", "right_eye", "left_ear", "right_ear"]
NAMES += [f"{side}_{j}" for j in ("shoulder", "elbow", "wrist") for side in ("left", "right")]
NAMES += [f"{side}_{j}" for j in ("hip", "knee", "ankle") for side in ("left", "right")]
FIELD = 100


def shape(number, distance, category=1, x=0, image=1):
    place = {"image_id": image, "bbox": [x, 0, 20, 20], "area": 400, "iscrowd": 0}
    far = {"evidence_distance": distance, "evidence_receptive_fields": distance / FIELD}
    return {"id": number, "category_id": category, **place, **far}


def detection(x=0, category=1, score=0.9, image=1, width=20):
    box = {"bbox": [x, 0, width, 20]}
    return {"image_id": image, "category_id": category, "score": score, **box}


def truth(*annotations, level="beacon"):
    person = {"id": 1, "name": "person", "keypoints": NAMES}
    shapes = [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}]
    return {
        "info": {"recipe": {"level": level, "receptive_field": FIELD, "version": 1}},
        "images": [{"id": k, "file_name": f"{k}.png", "height": 400, "width": 400} for k in (1, 2)],
        "categories": [person] if level == "pose" else shapes,
        "annotations": list(annotations),
    }


@pytest.fixture
def measure(tmp_path):
    def run(content, results, **options):
        paths = tmp_path / "truth.json", tmp_path / "results.json"
        for path, what in zip(paths, (content, results), strict=True):
            path.write_text(json.dumps(what))
        measured = accuracy_by_distance(*paths, **options)
        assert json.loads(json.dumps(measured, allow_nan=False)) == measured
        return measured

    return run


def numbers(row):
    return tuple(row[key] for key in ("count", "right", "wrong", "missed"))


def test_the_evidence_itself_does_not_count(measure):
    bar = {**shape(2, 0, x=100), "bbox": [100, 0, 30, 400], "iscrowd": 1}
    measured = measure(truth(shape(1, 80), bar), [detection(), detection(x=100, width=30)])
    assert numbers(measured["all"]) == (1, 1, 0, 0)
    assert measured["object_size"] == [20, 20]


def test_each_object_is_in_the_bin_of_its_distance(measure):
    objects = [shape(1, 0, x=0), shape(2, 24.9, x=30), shape(3, 25, x=60), shape(4, 300, x=90)]
    measured = measure(truth(*objects), [detection(x) for x in (0, 30, 60, 90)])
    rows = measured["bins"]
    assert [(r["low"], r["high"]) for r in rows] == [
        *((0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1), (1, None))
    ]
    assert [r["count"] for r in rows] == [2, 1, 0, 0, 1]
    means = [0.1245, 0.25, None, None, 3]
    assert [r["mean_distance"] and round(r["mean_distance"], 9) for r in rows] == means
    assert rows[2]["accuracy"] is rows[2]["right_of_all"] is None
    assert numbers(measured["all"]) == (4, 4, 0, 0)
    keys = ("level", "of", "unit", "receptive_field", "data_version", "object_size", "chance")
    expected = ["beacon", "objects", "receptive_fields", FIELD, 1, [20, 20], 0.5]
    assert [measured[key] for key in keys] == expected


def test_the_best_scored_detection_decides_whatever_its_category(measure):
    one = truth(shape(1, 10))
    for results, expected in (
        ([detection(score=0.4), detection(category=2, score=0.3)], (1, 1, 0, 0)),
        ([detection(score=0.3), detection(category=2, score=0.4)], (1, 0, 1, 0)),
        # IoU 10 / 30: not on the object, however sure
        ([detection(x=10, category=2, score=0.9), detection(score=0.1)], (1, 1, 0, 0)),
        ([detection(x=10)], (1, 0, 0, 1)),
        ([detection(width=40)], (1, 1, 0, 0)),  # IoU 1/2 is enough
        ([detection(width=40.1)], (1, 0, 0, 1)),
        ([detection(image=2)], (1, 0, 0, 1)),
        ([], (1, 0, 0, 1)),
    ):
        assert numbers(measure(one, results)["all"]) == expected


def test_accuracy_is_of_the_detected_and_of_all(measure):
    objects = truth(*(shape(k, 10, x=30 * k) for k in range(1, 5)))
    row = measure(objects, [detection(30), detection(60), detection(90, category=2)])["all"]
    assert (row["detected"], row["accuracy"], row["right_of_all"]) == (3, 2 / 3, 1 / 2)


def test_bins_of_pixels_and_objects_outside_of_them(measure):
    objects = truth(shape(1, 10, x=0), shape(2, 30, x=30), shape(3, 90, x=60))
    measured = measure(objects, [detection(30)], edges=(20, 60), unit="pixels")
    (row,) = measured["bins"]
    assert (row["low"], row["high"], row["mean_distance"]) == (20, 60, 30)
    assert numbers(row) == (1, 1, 0, 0)
    assert measured["all"]["count"] == 3


# A figure whose limbs' joints are at x = 100 (left) and 200 (right), 10 px of height each.
AREA = 2500.0  # wrists have sigma 0.062: similarity 1/2 at sqrt(2 * 2500 * ln 2) * 0.124 = 7.30 px
WRIST, WRIST_PX = NAMES.index("left_wrist"), math.sqrt(2 * AREA * math.log(2)) * 0.124


def joints():
    points = [[150, 10, 2]] * 5
    return points + [[100 if k % 2 else 200, 40 * ((k + 1) // 2), 2] for k in LIMBS]


def figure(points=None, distance=50, **changes):
    distances = [0] * 5 + [distance] * 12
    return {
        **{"id": 1, "image_id": 1, "category_id": 1, "bbox": [90, 0, 120, 330], "area": AREA},
        **{"keypoints": [v for p in points or joints() for v in p], "num_keypoints": 17},
        **{"iscrowd": 0, "evidence_distance": 50, "keypoint_evidence_distances": distances},
        **changes,
    }


def pose(points=None, score=0.9, box=(90, 0, 120, 330)):
    flat = [float(v) for x, y, _ in points or joints() for v in (x, y, 1)]
    place = {"image_id": 1, "category_id": 1, "score": score, "bbox": list(box)}
    return {**place, "keypoints": flat}


def moved(joint, dx):
    points = joints()
    points[joint] = [points[joint][0] + dx, points[joint][1], 2]
    return points


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (joints(), (12, 12, 0, 0)),
        (moved(WRIST, WRIST_PX - 0.01), (12, 12, 0, 0)),
        (moved(WRIST, WRIST_PX + 0.01), (12, 11, 0, 1)),
        (moved(WRIST, 100), (12, 11, 1, 0)),  # at the right wrist
        (moved(WRIST, 100 - WRIST_PX + 0.01), (12, 11, 1, 0)),
        (moved(WRIST, 100 - WRIST_PX - 0.01), (12, 11, 0, 1)),
        (moved(0, 100), (12, 12, 0, 0)),  # a nose has no side
    ],
)
def test_a_joint_is_right_swapped_or_at_neither(measure, points, expected):
    measured = measure(truth(figure(), level="pose"), [pose(points)])
    assert numbers(measured["all"]) == expected
    assert (measured["of"], measured["chance"], measured["object_size"]) == (
        "limb joints",
        0.5,
        [120, 330],
    )


def test_twins_nearer_than_the_tolerance_are_told_apart(measure):
    near = joints()
    near[WRIST + 1] = [near[WRIST][0] + 6, near[WRIST][1], 2]
    points = [list(p) for p in near]
    points[WRIST][0] += 4  # 4 px from its own place, 2 px from its twin's
    measured = measure(truth(figure(near), level="pose"), [pose(points)])
    assert numbers(measured["all"]) == (12, 11, 1, 0)


def test_joints_are_in_the_bins_of_their_own_distances(measure):
    person = figure()
    person["keypoint_evidence_distances"][WRIST] = 130
    person["keypoints"][3 * 15 + 2] = 0  # an unlabelled ankle is not asked
    measured = measure(truth(person, level="pose"), [pose(moved(WRIST, 100))])
    assert [numbers(row) for row in measured["bins"][-3:]] == [
        (10, 10, 0, 0),
        (0,) * 4,
        (1, 0, 1, 0),
    ]


def test_the_best_scored_person_on_a_figure_decides(measure):
    swapped = [joints()[k + (1 if k % 2 else -1)] if k >= 5 else p for k, p in enumerate(joints())]
    content = truth(figure(), level="pose")
    assert numbers(measure(content, [pose(swapped), pose(score=0.8)])["all"]) == (12, 0, 12, 0)
    elsewhere = pose(swapped, box=(300, 0, 90, 90))
    assert numbers(measure(content, [elsewhere, pose(score=0.8)])["all"]) == (12, 12, 0, 0)
    assert numbers(measure(content, [elsewhere])["all"]) == (12, 0, 0, 12)


def test_what_cannot_be_measured_is_refused(measure):
    plain = shape(1, 10)
    del plain["evidence_distance"]
    for content, message in (
        (truth(plain), r"annotation 0 has evidence_distance=None; give .*make-long-range"),
        (truth(shape(1, math.nan)), "evidence_distance=nan"),
        (truth(figure(keypoint_evidence_distances=[1.0]), level="pose"), r"=\[1.0\]; give"),
        (truth(figure(keypoint_evidence_distances=None), level="pose"), "=None; give"),
        ({**truth(shape(1, 10)), "info": {}}, r'no "level" in "info", "recipe"; give'),
    ):
        with pytest.raises(ValueError, match=message):
            measure(content, [])
    with pytest.raises(ValueError, match="image_id=3, which is not the id of one of the 2 images"):
        measure(truth(shape(1, 10)), [detection(image=3)])
    with pytest.raises(ValueError, match="keypoints=None; expected 51 finite numbers"):
        measure(truth(figure(), level="pose"), [detection()])
    for edges in ((0,), (0, 1, 1), (1, 0), (0, math.nan)):
        with pytest.raises(ValueError, match="expected at least two ascending numbers"):
            measure(truth(), [], edges=edges)
    with pytest.raises(ValueError, match="unit='px'; expected one of receptive_fields, pixels"):
        measure(truth(), [], unit="px")
