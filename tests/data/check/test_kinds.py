"""Each kind of problem: a good file damaged, the finding, and what Detectron2 alone does."""

from pathlib import Path
from typing import Any

import pytest
from damages import DAMAGES
from detectron2.data import DatasetMapper, get_detection_dataset_dicts
from detectron2.data import transforms as T
from detectron2.data.datasets import register_coco_instances
from good_data import HEIGHT, WIDTH, Damage, GoodData
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nonlocal_det.data.check import ISSUE_TYPES, check_dataset, issue_table

ALL = frozenset({"masks", "keypoints", "raw keypoints", "evaluation"})
OBJECTS = 12


def train_with(json_file: Path, root: Path, mask_format: str) -> int:
    """What Detectron2 feeds a model with masks and keypoints in one epoch: objects."""
    register_coco_instances("damaged", {}, str(json_file), str(root))
    mapper = DatasetMapper(
        is_train=True,
        augmentations=[T.Resize((60, 80)), T.RandomFlip(prob=1.0)],
        image_format="BGR",
        use_instance_mask=True,
        instance_mask_format=mask_format,
        use_keypoint=True,
        keypoint_hflip_indices=[1, 0, 2],
    )
    samples = [mapper(record) for record in get_detection_dataset_dicts(["damaged"])]
    for sample in samples:
        objects = sample["instances"]
        assert objects.has("gt_masks"), "an image without masks"
        assert objects.has("gt_keypoints"), "an image without keypoints"
    return sum(len(sample["instances"]) for sample in samples)


def outcome(data: GoodData, kind: str, files: tuple[Path, Path]) -> str:
    rle = isinstance(data.content, dict) and any(
        isinstance(one.get("segmentation"), dict) and not one.get("iscrowd")
        for one in data.content.get("annotations", [])
    )
    mask_format = "bitmask" if rle and kind != "rle_as_polygon" else "polygon"
    try:
        count = train_with(*files, mask_format)
    except Exception:  # whatever it raises ends a training
        return "raises"
    return "keeps" if count >= OBJECTS else "drops"


def test_the_good_data_has_no_finding_and_trains(good: GoodData) -> None:
    files = good.write()
    checked = check_dataset(*files, images="all")
    assert checked.findings.by_kind == {}
    assert (checked.num_images, checked.num_annotations, checked.num_read) == (4, 13, 4)
    assert train_with(*files, "polygon") == OBJECTS


def test_objects_that_fill_their_images_are_no_corners(good: GoodData) -> None:
    """(0, 0, width, height) is the same as corners; nor is an absent "num_keypoints" a mistake."""
    whole = [0, 0, WIDTH, 0, WIDTH, HEIGHT, 0, HEIGHT]
    for row in good.content["annotations"]:
        del row["num_keypoints"]
        if not row["iscrowd"]:
            row |= {"bbox": [0, 0, WIDTH, HEIGHT], "segmentation": [whole]}
            row["area"] = WIDTH * HEIGHT
    found = check_dataset(*good.write(), images="none").findings.by_kind
    assert set(found) == {"annotation_duplicate"}


IDS = [f"{kind}-{k}" for k, (kind, _, _) in enumerate(DAMAGES)]


@pytest.mark.parametrize(("kind", "damage", "others"), DAMAGES, ids=IDS)
def test_a_damage_is_found_and_detectron2_does_what_the_table_says(
    good: GoodData, kind: str, damage: Damage, others: set[str]
) -> None:
    damage(good)
    files = good.write()
    found = check_dataset(*files, images="all").findings
    assert set(found.by_kind) == {kind} | others
    example = found.by_kind[kind].examples[0]
    assert example.detail
    assert example.file in {str(good.json_file), *names_of(good.content)}
    assert outcome(good, kind, files) == ISSUE_TYPES[kind].detectron2


def names_of(content: Any) -> set[str]:
    images = content["images"] if isinstance(content, dict) else []
    records = [one for one in images if isinstance(one, dict)]
    return {one.get("file_name", "images[1]") for one in records} | {"no such image"}


def test_every_kind_has_a_damage() -> None:
    between_files = {"splits_share_images", "splits_differ_in_classes"}
    assert {kind for kind, _, _ in DAMAGES} | between_files == set(ISSUE_TYPES)
    assert len(ISSUE_TYPES) >= 40


def test_the_table_is_consistent() -> None:
    for kind in ISSUE_TYPES.values():
        assert kind.severity in ("crash", "corrupt", "harmless")
        if kind.detectron2 == "raises":  # what raises is a crash, but for what is converted here
            assert (kind.severity == "crash") == (kind.kind != "rle_as_polygon")
        assert kind.stops(ALL) == (kind.severity != "harmless")
        assert kind.training.startswith("stops") == kind.stops(ALL)
        assert f"| `{kind.kind}` |" in issue_table()


def test_an_id_of_0_spoils_the_evaluation() -> None:
    """Why `annotation_id_zero` is there: perfect detections of two objects, one with the id 0."""
    images = [{"id": 1, "width": 99, "height": 99, "file_name": "a"}]
    found = {}
    for first in (0, 1):
        objects = [
            {"id": first + k, "image_id": 1, "category_id": 1, "area": 900, "iscrowd": 0}
            | {"bbox": [10 + 40 * k, 10, 30, 30]}
            for k in range(2)
        ]
        truth = COCO()
        truth.dataset = {"info": {}, "images": images, "annotations": objects}
        truth.dataset["categories"] = [{"id": 1, "name": "a"}]
        truth.createIndex()
        results = [{**one, "score": 0.9} for one in objects]
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        found[first] = evaluation.stats[0]
    assert found[1] == 1.0
    assert found[0] < 0.6
