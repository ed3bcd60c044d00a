"""The files of the long-range data: valid COCO, deterministic, refused where no task can be."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from long_range_scenes import FIELD, recipe, scenes
from long_range_scenes import bars as read_bars
from long_range_scenes import shapes as shapes_of
from PIL import Image
from pycocotools.coco import COCO

from nonlocal_det.synthetic.long_range import CATEGORIES, LEVELS, SPLITS
from nonlocal_det.synthetic.long_range import recipe as recipes
from nonlocal_det.synthetic.long_range.make import make_long_range
from nonlocal_det.synthetic.register import register_long_range

COUNTS = {"num_train": 4, "num_val": 2, "num_test": 3}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("datasets")
    for level in LEVELS:
        made = make_long_range(folder, level, receptive_field=FIELD, **COUNTS)
        assert made == folder / "long_range" / level
    return folder


def load(root: Path, level: str, split: str) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(root / "long_range" / level / "annotations" / f"{split}.json"))


def files(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize("level", LEVELS)
def test_the_json_is_cocos_and_each_annotation_has_its_distance(root, level):
    for split in SPLITS:
        coco = load(root, level, split)
        assert len(coco.imgs) == COUNTS[f"num_{split}"]
        assert [c["name"] for c in coco.cats.values()] == list(CATEGORIES[level])
        assert coco.dataset["info"]["data_version"] == recipes.VERSIONS[level]
        assert coco.dataset["info"]["recipe"]["receptive_field"] == FIELD
        for one in coco.anns.values():
            mask = coco.annToMask(one)
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            x, y = columns[0], rows[0]
            assert one["bbox"] == [x, y, columns[-1] - x + 1, rows[-1] - y + 1]
            assert one["area"] == mask.sum() > 0
            units = one["evidence_distance"] / FIELD
            assert one["evidence_receptive_fields"] == pytest.approx(units, abs=1e-4)
            assert one["evidence_distance"] > 0 or level == "pairs"


def test_the_bars_of_pairs_are_learnt_and_elsewhere_neither_asked_for_nor_wrong(root):
    for split in SPLITS:
        coco = load(root, "pairs", split)
        for image_id, scene in zip(
            coco.imgs, scenes("pairs", split, COUNTS[f"num_{split}"]), strict=True
        ):
            bars = [one for one in coco.imgToAnns[image_id] if one["evidence_distance"] <= 0.5]
            assert [one["bbox"][1::2] for one in bars] == [[0, scene.image.shape[0]]] * 2
            assert all(one["iscrowd"] == (split != "train") for one in bars)
            names = sorted(coco.cats[one["category_id"]]["name"] for one in bars)
            assert names == sorted(name for name, _, _ in read_bars(scene.image))
            shapes = [one for one in coco.imgToAnns[image_id] if one not in bars]
            assert len(shapes) == len(shapes_of(scene))
            assert all(one["iscrowd"] == 0 for one in shapes)


def test_the_annotations_are_those_of_the_drawn_images(root):
    coco = load(root, "pose", "test")
    for scene, image_id in zip(scenes("pose", "test", 3), coco.imgs, strict=True):
        (one,), (item,) = coco.imgToAnns[image_id], scene.objects
        assert np.array_equal(np.reshape(one["keypoints"], (17, 3)), item.keypoints)
        assert one["keypoint_evidence_distances"] == pytest.approx(
            item.keypoint_distances, abs=0.01
        )
        height, width = item.mask.shape
        assert np.all(item.keypoints[:, :2] >= 0)
        assert np.all(item.keypoints[:, :2] < [width, height])
        path = root / "long_range" / "pose" / "test" / coco.imgs[image_id]["file_name"]
        with Image.open(path) as picture:
            assert np.array_equal(np.asarray(picture)[:, :, ::-1], scene.image)


@pytest.mark.parametrize("level", LEVELS)
def test_equal_parameters_give_equal_bytes_and_other_seeds_others(tmp_path, root, level):
    first = files(root / "long_range" / level)
    options = {"receptive_field": FIELD, **COUNTS}
    assert files(make_long_range(tmp_path / "again", level, **options)) == first
    other = files(make_long_range(tmp_path / "other", level, seed=1, **options))
    images = [name for name in first if name.endswith(".png")]
    assert all(first[name] != other[name] for name in images)
    assert len({first[name] for name in images}) == len(images)  # the splits differ, too
    more = files(make_long_range(tmp_path / "more", level, **{**options, "num_train": 5}))
    assert all(first[name] == more[name] for name in images)


@pytest.mark.parametrize(
    ("level", "changes", "words"),
    [
        ("beacons", {}, ["level='beacons'", "beacon, pairs, pose, local"]),
        ("beacon", {"num_val": 0}, ["num_val=0", "at least 1"]),
        ("beacon", {"seed": -1}, ["seed=-1", "at least 0"]),
        ("beacon", {"object_size": 8}, ["object_size=8", "at least 12"]),
        ("beacon", {"width": 200}, ["width=200", "at most 170 px", "211 px", "at least 242"]),
        ("pairs", {"width": 240}, ["width=240", "at most 204 px", "211 px", "at least 248"]),
        ("beacon", {"height": 20}, ["no room for 4 shapes", "20x320", "height of at least 24"]),
        ("local", {"width": 96}, ["no room for 4 shapes", "64x96", "at least 164"]),
        ("pose", {"height": 90}, ["90x160", "at least 96"]),
        ("pose", {"receptive_field": 483}, ["116 px", "242 px", "at least 335"]),
    ],
)
def test_what_cannot_be_is_refused_with_the_numbers(tmp_path, level, changes, words):
    options = {"receptive_field": FIELD, **COUNTS, **changes}
    with pytest.raises(ValueError) as error:
        make_long_range(tmp_path, level, **options)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("level", "least"),
    [
        ("beacon", {"width": 242}),
        ("pairs", {"width": 248}),
        ("beacon", {"width": 320, "height": 24}),
        ("pose", {"height": 335, "width": 335, "receptive_field": 483}),
    ],
)
def test_the_size_that_a_refusal_recommends_is_enough(level, least):
    recipe(level, **least)
    smaller = {key: value - 1 for key, value in least.items() if key in ("height", "width")}
    with pytest.raises(ValueError, match="at least"):
        recipe(level, **{**least, **smaller})


def test_names_are_registered_and_load(root):
    register_long_range(root)
    try:
        for level in LEVELS:
            for split in SPLITS:
                name = f"long_range_{level}_{split}"
                records = DatasetCatalog.get(name)
                assert len(records) == COUNTS[f"num_{split}"]
                assert MetadataCatalog.get(name).thing_classes == list(CATEGORIES[level])
                annotations = [a for record in records for a in record["annotations"]]
                assert all(("keypoints" in a) == (level == "pose") for a in annotations)
    finally:
        register_long_range()
    json_file = Path(MetadataCatalog.get("long_range_pose_val").json_file)
    assert json_file.parts[-4:] == ("long_range", "pose", "annotations", "val.json")


def test_the_recipe_is_kept_beside_the_data(root):
    kept = json.loads((root / "long_range" / "beacon" / "made_by.json").read_text())
    assert kept == recipe("beacon").as_dict()
