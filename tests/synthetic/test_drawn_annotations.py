"""The drawn annotations agree with each other, with the images and with pycocotools."""

import contextlib
import copy
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
import pytest
from detectron2.data.datasets.builtin_meta import (
    COCO_PERSON_KEYPOINT_NAMES,
    KEYPOINT_CONNECTION_RULES,
)
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

FILES = [
    f"{kind}_{split}2017"
    for kind in ("instances", "person_keypoints")
    for split in ("train", "val")
]


def load(mini_coco: Path, name: str) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(mini_coco / "annotations" / f"{name}.json"))


@pytest.mark.parametrize("name", FILES)
def test_boxes_and_areas_are_those_of_masks_that_share_no_pixel(mini_coco: Path, name: str) -> None:
    coco = load(mini_coco, name)
    assert len(coco.anns) > 5
    for image_id, image in coco.imgs.items():
        total = np.zeros((image["height"], image["width"]), int)
        for annotation in coco.imgToAnns[image_id]:
            mask = coco.annToMask(annotation)
            rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
            x, y = columns[0], rows[0]
            assert annotation["bbox"] == [x, y, columns[-1] - x + 1, rows[-1] - y + 1]
            assert annotation["area"] == mask.sum() > 0
            total += mask
        assert total.max() <= 1


@pytest.mark.parametrize("name", FILES)
def test_images_have_the_size_and_the_name_that_is_written(mini_coco: Path, name: str) -> None:
    split = name.rsplit("_", 1)[1]
    images = load(mini_coco, name).imgs
    for image_id, image in images.items():
        assert image["file_name"] == f"{image_id:012d}.png"
        with Image.open(mini_coco / split / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
            assert picture.mode == "RGB"
    sides = [side for image in images.values() for side in (image["width"], image["height"])]
    assert 96 <= min(sides) < 112  # around 128, and varied
    assert 144 < max(sides) <= 160


@pytest.mark.parametrize("name", FILES[2:])
def test_keypoints_follow_coco(mini_coco: Path, name: str) -> None:
    coco = load(mini_coco, name)
    seen = set()
    for annotation in coco.anns.values():
        image = coco.imgs[annotation["image_id"]]
        keypoints = np.array(annotation["keypoints"]).reshape(17, 3)
        labelled = keypoints[:, 2] > 0
        assert annotation["num_keypoints"] == labelled.sum()
        assert np.all(keypoints[~labelled] == 0)
        assert np.all(keypoints[labelled, :2] >= 0)
        assert np.all(keypoints[labelled, :2] < [image["width"], image["height"]])
        seen.update(keypoints[:, 2].tolist() if not annotation["iscrowd"] else ())
        mask = coco.annToMask(annotation)
        visible = keypoints[keypoints[:, 2] == 2]
        assert mask[visible[:, 1], visible[:, 0]].all()  # what is seen lies on the person
        assert annotation["iscrowd"] or len(visible) >= 6
    assert seen == {0, 1, 2}  # out of the frame, occluded, visible: all exist


def test_keypoint_file_describes_coco_person(mini_coco: Path) -> None:
    (person,) = load(mini_coco, "person_keypoints_val2017").cats.values()
    assert (person["id"], person["name"]) == (1, "person")
    assert tuple(person["keypoints"]) == COCO_PERSON_KEYPOINT_NAMES
    names = [{person["keypoints"][n - 1] for n in pair} for pair in person["skeleton"]]
    assert len(names) == 19
    assert all({a, b} in names for a, b, _ in KEYPOINT_CONNECTION_RULES)


@pytest.mark.parametrize("split", ["train2017", "val2017"])
def test_both_files_have_the_same_images_and_people(mini_coco: Path, split: str) -> None:
    everything = load(mini_coco, f"instances_{split}")
    people = load(mini_coco, f"person_keypoints_{split}")
    assert everything.imgs == people.imgs
    assert sorted(everything.cats) == [1, 3, 7, 8, 10]
    for key, annotation in people.anns.items():
        with_keypoints = {**everything.anns[key], "keypoints": 0, "num_keypoints": 0}
        assert {**annotation, "keypoints": 0, "num_keypoints": 0} == with_keypoints
    assert people.getAnnIds() == everything.getAnnIds(catIds=[1])
    assert {a["category_id"] for a in everything.anns.values()} > {1}


def test_crowds_and_empty_images_exist(mini_coco: Path) -> None:
    coco = load(mini_coco, "person_keypoints_train2017")
    crowds = [annotation for annotation in coco.anns.values() if annotation["iscrowd"]]
    assert [crowd["image_id"] for crowd in crowds] == [5]
    assert isinstance(crowds[0]["segmentation"]["counts"], list)  # not compressed, as in COCO
    assert crowds[0]["num_keypoints"] == 0
    assert crowds[0]["keypoints"] == [0] * 51
    assert load(mini_coco, "instances_train2017").imgToAnns[10] == []


@pytest.mark.parametrize(
    ("name", "task"),
    [(FILES[0], "bbox"), (FILES[0], "segm"), (FILES[2], "keypoints"), (FILES[3], "keypoints")],
)
def test_a_perfect_detector_has_an_ap_of_one(mini_coco: Path, name: str, task: str) -> None:
    content = json.loads((mini_coco / "annotations" / f"{name}.json").read_text())
    keys = {"bbox": "bbox", "segm": "segmentation", "keypoints": "keypoints"}
    detections: list[dict[str, Any]] = []
    for annotation in copy.deepcopy(content["annotations"]):
        if annotation["iscrowd"]:
            continue
        value = annotation[keys[task]]
        if task == "segm":
            image = content["images"][annotation["image_id"] - 1]
            value = mask_util.merge(mask_util.frPyObjects(value, image["height"], image["width"]))
        found = {key: annotation[key] for key in ("image_id", "category_id")}
        detections.append({**found, keys[task]: value, "score": 0.9})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = load(mini_coco, name)
        evaluation = COCOeval(truth, truth.loadRes(detections), task)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0, abs=1e-9)
