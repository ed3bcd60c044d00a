"""Masks are trained and evaluated alike, whether stored as polygons, as RLE, or some of each."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.structures import BitMasks, PolygonMasks
from detectron2.structures.masks import polygons_to_bitmask
from good_data import HEIGHT, WIDTH, GoodData
from pycocotools import mask as mask_utils
from small_models import small_config
from tiny_training import run

from nonlocal_det.data import build_train_stream, mappers, register_coco_data
from nonlocal_det.data.coco_data import forget
from nonlocal_det.evaluation import evaluate_results, summary

STORED = {"polygons": ["polygons"], "rle": ["rle"], "both": ["polygons", "rle"], "mixed": ["mixed"]}


def stored_as(folder: Path, kind: str) -> GoodData:
    """Twelve diamonds, as polygons, as RLE, or every second one as RLE."""
    data = GoodData(folder / kind)
    for category in data.content["categories"]:
        category |= {"flip_map": [["left", "right"]], "oks_sigmas": [0.05] * 3}
    for number, row in enumerate(row for row in data.content["annotations"] if not row["iscrowd"]):
        x, y, w, h = row["bbox"]
        diamond = [[x + w / 2, y, x + w, y + h / 2, x + w / 2, y + h, x, y + h / 2]]
        row |= {"segmentation": diamond, "area": w * h / 2}
        if kind == "rle" or (kind == "mixed" and number % 2):
            mask = mask_utils.merge(mask_utils.frPyObjects(diamond, HEIGHT, WIDTH))
            row["segmentation"] = {**mask, "counts": mask["counts"].decode()}
    return data


@pytest.fixture
def own(tmp_path):
    """Registers the data sets of an entry of STORED; returns their names."""

    def register(stored: str) -> tuple[str, ...]:
        for kind in STORED[stored]:
            register_coco_data(kind, *stored_as(tmp_path, kind).write())
        return tuple(STORED[stored])

    yield register
    for kind in ("polygons", "rle", "mixed"):
        forget(kind)


def samples(names: tuple[str, ...], mask_format: str, crop: bool) -> list[dict]:
    """The first eight samples of a training, their masks drawn where they are polygons."""
    options = ["DATASETS.TRAIN", names, "INPUT.MASK_FORMAT", mask_format]
    options += ["INPUT.MIN_SIZE_TRAIN", (96,), "INPUT.CROP.ENABLED", crop]
    options += ["INPUT.CROP.SIZE", [0.5, 0.5]]
    cfg = small_config("quick/mask_keypoint_rcnn_R18", *options)
    cfg.freeze()
    (first,) = (batch for batch, _ in zip(build_train_stream(cfg), range(1), strict=False))
    assert cfg.INPUT.MASK_FORMAT == mask_format
    for sample in first:
        sample["kind"] = type(sample["instances"].gt_masks)
        if sample["kind"] is PolygonMasks:
            size = sample["instances"].image_size
            drawn = [polygons_to_bitmask(p, *size) for p in sample["instances"].gt_masks.polygons]
            sample["instances"].gt_masks = BitMasks(torch.tensor(np.array(drawn)))
    return first


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("mask_format", ["polygon", "bitmask"])
def test_any_masks_are_trained_in_any_format(own, messages, stored, mask_format):
    names = own(stored)
    kept = stored == "polygons" and mask_format == "polygon"
    loaded = samples(names, mask_format, crop=False)
    assert {sample["kind"] for sample in loaded} == {PolygonMasks if kept else BitMasks}
    for sample in loaded:
        objects = sample["instances"]
        assert len(objects) == 3
        inside = objects.gt_masks.tensor.flatten(1).sum(1)
        assert inside.tolist() == pytest.approx((objects.gt_boxes.area() / 2).tolist(), rel=0.12)
        around = objects.gt_masks.get_bounding_boxes().tensor
        assert (around - objects.gt_boxes.tensor).abs().max() <= 2
    converted = stored != "polygons" and mask_format == "polygon"
    said = [line for line in messages() if line.startswith("INPUT.MASK_FORMAT is polygon, but")]
    assert len(said) == converted
    counts = {"rle": "12 of the 12", "mixed": "6 of the 12", "both": "12 of the 24"}
    assert all(counts[stored] in line for line in said)


@pytest.mark.parametrize("kinds", [("polygons", "rle"), ("rle", "mixed")])
def test_with_cropping_all_bitmaps_are_the_same(own, kinds):
    first, second = (samples(own(kind), "bitmask", crop=True) for kind in kinds)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["instances"].gt_masks.tensor, other["instances"].gt_masks.tensor)
        assert torch.equal(one["instances"].gt_boxes.tensor, other["instances"].gt_boxes.tensor)
    assert {3} < {len(sample["instances"]) for sample in first}  # some objects are cut off


def test_cropping_polygons_without_shapely_says_what_to_do(own, monkeypatch):
    monkeypatch.setattr(mappers, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install shapely, or set INPUT.MASK_FORMAT bitmask"):
        samples(own("polygons"), "polygon", crop=True)
    assert samples(own("mixed"), "polygon", crop=True)


def test_mask_ap_does_not_depend_on_how_the_truth_is_stored(tmp_path):
    results = []
    for row in stored_as(tmp_path / "results", "rle").content["annotations"][:9]:
        mask = np.roll(mask_utils.decode(row["segmentation"]), row["id"] % 3, axis=1)
        counts = mask_utils.encode(np.asfortranarray(mask))["counts"].decode()
        box = {key: row[key] for key in ("image_id", "category_id", "bbox")}
        segmentation = {"size": [HEIGHT, WIDTH], "counts": counts}
        results.append({**box, "score": 1 / row["id"], "segmentation": segmentation})
    numbers = {
        str(summary(evaluate_results(stored_as(tmp_path, kind).content, results, "segm")))
        for kind in ("polygons", "rle", "mixed")
    }
    assert len(numbers) == 1
    assert 10 < json.loads(numbers.pop().replace("nan", "0").replace("'", '"'))["AP"] < 90


@pytest.mark.parametrize("stored", ["rle", "both"])
def test_a_training_with_rle_and_cropping_ends(own, tmp_path, stored):
    options = ["DATASETS.TRAIN", str(own(stored)), "DATASETS.TEST", "()"]
    options += ["INPUT.CROP.ENABLED", "True", "MODEL.ROI_HEADS.NUM_CLASSES", "2"]
    options += ["MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS", "3"]
    run(tmp_path / "out", *options, iterations=1)
    assert (tmp_path / "out" / "result.json").is_file()
