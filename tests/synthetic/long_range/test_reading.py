"""Who reads the whole image is always right; who sees an object alone can only guess."""

import cv2
import numpy as np
import pytest
from long_range_scenes import (
    FIELD,
    PAIRS,
    axis,
    bars,
    box,
    chebyshev,
    cues,
    read_cue,
    read_left,
    read_twin,
    recipe,
    scenes,
    shapes,
)

from nonlocal_det.synthetic.pose import JOINT

READERS = {"beacon": read_cue, "local": read_cue, "pairs": read_twin}
SIDE = 8  # crops are compared at 8 x 8 pixels


@pytest.mark.parametrize("level", READERS)
def test_a_perfect_reader_knows_every_category_and_distance(level):
    found = {True: 0, False: 0}
    for scene in scenes(level, "test", 25):
        for item in shapes(scene):
            name, distance = READERS[level](scene.image, box(item))
            assert name == item.name
            assert abs(distance - item.evidence_distance) < 2
            found[item.evidence_distance > FIELD / 2] += 1
    assert found[level == "local"] == 0 or level != "local"
    assert found[level != "local"] >= 20  # beacons and twins are out of a position's sight too


def test_local_marks_are_near_and_far_cues_are_far():
    near = [
        item.evidence_distance for scene in scenes("local", "test", 25) for item in shapes(scene)
    ]
    assert max(near) < 40
    for level in ("beacon", "pairs"):
        far = [
            item.evidence_distance
            for scene in scenes(level, "train", 300)
            for item in shapes(scene)
        ]
        assert max(far) > FIELD
        assert min(far) > 12 / 2


def test_half_of_what_a_beacon_is_learnt_from_is_near_it():
    shares = {}
    for split in ("train", "test"):
        away = [
            item.evidence_distance
            for scene in scenes("beacon", split, 200)
            for item in shapes(scene)
        ]
        shares[split] = np.mean([distance < 0.3 * FIELD for distance in away])
    assert shares["train"] > shares["test"] + 0.2
    assert shares["test"] < 0.4


def test_the_ground_has_no_colour_that_could_be_taken_for_a_cue():
    for level in READERS:
        for scene in scenes(level, "train", 20):
            columns = scene.image.astype(float).mean(0)  # a bar fills whole columns, noise averages
            apart = np.abs(columns[:, 2] - columns[:, 1])
            assert np.quantile(apart, 0.2) < 4


def test_pairs_are_tested_with_both_cues_and_half_of_them_learnt_with_one():
    for scene in scenes("pairs", "test", 100):
        assert sorted(name for name, _, _ in bars(scene.image)) == ["green", "red"]
        assert {item.name for item in shapes(scene)} == {"green", "red"}
    learnt = [{name for name, _, _ in bars(s.image)} for s in scenes("pairs", "train", 300)]
    assert 0.4 < np.mean([len(names) == 1 for names in learnt]) < 0.6


def test_a_perfect_reader_of_the_head_knows_every_left():
    for scene in scenes("pose", "test", 30):
        (item,) = scene.objects
        points = item.keypoints[:, :2] + 0.5
        left = read_left(scene.image, points)
        for name in PAIRS:
            across = points[JOINT[f"left_{name}"]] - points[JOINT[f"right_{name}"]]
            assert across @ left > 0, name


def test_distances_of_a_figure_are_those_to_its_head():
    length = recipe("pose").figure_length
    turns = np.linspace(0, 2 * np.pi, 720)
    circle = np.stack([np.cos(turns), np.sin(turns)], 1)
    disc = np.concatenate([circle * radius for radius in np.linspace(0, 0.09, 10)]) * length
    heads = []
    for scene in scenes("pose", "test", 20):
        (item,) = scene.objects
        points = item.keypoints[:, :2] + 0.5
        head, _ = axis(points)
        for name in PAIRS[:6]:
            for side in ("left", "right"):
                index = JOINT[f"{side}_{name}"]
                expected = np.abs(head + disc - points[index]).max(1).min()
                assert abs(item.keypoint_distances[index] - expected) < 3
        limbs = item.keypoint_distances[5:]
        assert item.evidence_distance == pytest.approx(limbs.mean())
        heads.append((points[JOINT["left_shoulder"]] - head) @ axis(points)[1] / length)
    assert min(heads) < 0.05  # on the shoulders or beyond
    assert max(heads) > 0.4  # and far from them


def classifiers(train: tuple[np.ndarray, np.ndarray], test: np.ndarray) -> list[np.ndarray]:
    """What a regularised linear classifier and the nearest neighbour say; labels are -1 and 1."""
    x, y = train
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x, test = (x - mean) / scale, (test - mean) / scale
    gram = x.T @ x + 0.3 * len(x) * np.eye(x.shape[1])
    linear = np.sign(test @ np.linalg.solve(gram, x.T @ y))
    apart = (test**2).sum(1)[:, None] - 2 * test @ x.T + (x**2).sum(1)
    return [linear, y[apart.argmin(1)]]


def accuracy(crops, level: str) -> list[float]:
    data = []
    times = 2 if level == "pose" else 1  # half of the figures have the head in the crop
    for split, count in (("train", 300 * times), ("test", 150 * times)):
        found = [pair for scene in scenes(level, split, count) for pair in crops(scene)]
        data.append((np.array([c for c, _ in found]), np.array([y for _, y in found])))
    (x, y), (test, truth) = data
    assert abs(truth.mean()) < 0.25
    return [float((said == truth).mean()) for said in classifiers((x, y), test)]


def shape_crops(margin: int):
    def crops(scene):
        image = np.pad(scene.image, [(margin, margin), (margin, margin), (0, 0)], "edge")
        for item in shapes(scene):
            x0, y0, x1, y1 = box(item)
            crop = image[y0 : y1 + 2 * margin, x0 : x1 + 2 * margin].astype(np.float32)
            small = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            yield small.reshape(-1), 1 if item.name == "red" else -1

    return crops


def limb_crop(scene, with_head: bool = False):
    """The figure from the shoulders down, turned upright; none with the head on them."""
    (item,) = scene.objects
    points = item.keypoints[:, :2] + 0.5
    head, down = axis(points)
    feet = points[[JOINT["left_ankle"], JOINT["right_ankle"]]].mean(0)
    length = recipe("pose").figure_length
    right = np.array([down[1], -down[0]])
    if not with_head and (feet - head) @ down < 0.54 * length:
        return
    at = head if with_head else feet - 0.43 * length * down
    size = np.array([[-0.2, 0], [0.2, 0], [-0.2, 0.5]]) * length
    source = np.float32([at + x * right + y * down for x, y in size])
    to = np.float32([[0, 0], [32, 0], [0, 32]])
    crop = cv2.warpAffine(scene.image, cv2.getAffineTransform(source, to), (32, 32))
    small = cv2.resize(crop.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    across = points[JOINT["left_hip"]] - points[JOINT["right_hip"]]
    yield small.reshape(-1), 1 if across @ right > 0 else -1


@pytest.mark.parametrize("level", ["beacon", "pairs", "local"])
def test_a_shape_alone_says_nothing(level):
    for right in accuracy(shape_crops(1), level):
        assert abs(right - 0.5) < 0.1


def test_the_limbs_alone_do_not_say_which_is_left():
    for right in accuracy(limb_crop, "pose"):
        assert abs(right - 0.5) < 0.12


def test_the_same_classifiers_do_learn_where_the_evidence_is_in_the_crop():
    assert max(accuracy(shape_crops(16), "local")) > 0.8
    assert max(accuracy(lambda scene: limb_crop(scene, with_head=True), "pose")) > 0.75


def test_the_cues_of_a_beacon_are_of_one_colour_and_reach_from_top_to_bottom():
    for scene in scenes("beacon", "test", 25):
        rows = {name: mask.any(1).sum() for name, mask in cues(scene.image).items()}
        assert sorted(rows.values())[1] == scene.image.shape[0]
        assert sorted(rows.values())[0] < 8  # a few pixels of noise at most
        assert chebyshev(np.eye(3, dtype=bool), (0.5, 1.5)) == 1
