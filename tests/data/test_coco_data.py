"""A user's own json: what is taken from it, what is completed, and what each mistake is told."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from detectron2.data import DatasetCatalog, DatasetMapper, MetadataCatalog
from detectron2.data.datasets import register_coco_instances
from detectron2.data.transforms import HFlipTransform

from nonlocal_det.data import CocoData, register_coco_data
from nonlocal_det.data.coco_data import completes_keypoints, forget

Json = dict[str, Any]
Write = Callable[[Any], tuple[Path, Path]]
COCO_NAMES = ["nose", "left_eye", "right_eye"]


@pytest.fixture(autouse=True)
def _clean_catalog() -> Iterator[None]:
    yield
    forget("animals")


def test_the_json_says_all_there_is(animals: Json, write_data: Write) -> None:
    assert register_coco_data("animals", *write_data(animals)) == CocoData(
        name="animals",
        class_names=("dog", "cat"),
        keypoint_names=("left_ear", "right_ear", "tail"),
        oks_sigmas=(0.03, 0.03, 0.1),
        has_masks=True,
        has_keypoints=True,
    )
    metadata = MetadataCatalog.get("animals")
    assert metadata.thing_classes == ["dog", "cat"]
    assert metadata.thing_dataset_id_to_contiguous_id == {3: 0, 7: 1}
    assert metadata.keypoint_names == ("left_ear", "right_ear", "tail")
    assert metadata.keypoint_flip_map == (("left_ear", "right_ear"),)
    assert [rule[:2] for rule in metadata.keypoint_connection_rules] == [("left_ear", "tail")]
    assert metadata.keypoint_oks_sigmas == (0.03, 0.03, 0.1)
    assert metadata.evaluator_type == "coco"


def test_annotations_without_keypoints_get_unlabelled_ones_so_that_training_runs(
    animals: Json, write_data: Write, caplog: pytest.LogCaptureFixture
) -> None:
    animals["annotations"][1]["keypoints"] = [0] * 51  # another tool's way to say "none"
    animals["annotations"][2].pop("keypoints")
    with caplog.at_level(logging.INFO):
        register_coco_data("animals", *write_data(animals))
    assert caplog.text.count("1 of 3 annotations have no keypoints") == 1
    assert "exchanges (('left_ear', 'right_ear'),) and leaves tail as they are" in caplog.text
    first, second = DatasetCatalog.get("animals")
    assert first["annotations"][0]["keypoints"] == [5.5, 6.5, 2, 9.5, 6.5, 1, 0.5, 0.5, 0]
    assert first["annotations"][1]["keypoints"] == [0] * 9
    assert second["annotations"][0]["keypoints"] == [0] * 9
    assert [a["num_keypoints"] for a in first["annotations"]] == [2, 0]
    mapper = DatasetMapper(
        is_train=True,
        augmentations=[HFlipTransform(40)],
        image_format="RGB",
        use_keypoint=True,
        keypoint_hflip_indices=[1, 0, 2],
    )
    keypoints = mapper(first)["instances"].gt_keypoints.tensor
    assert keypoints[:, :, 2].tolist() == [[1, 2, 0], [0, 0, 0]]  # left and right are exchanged


def test_what_is_registered_otherwise_under_a_used_name_is_not_completed(
    animals: Json, write_data: Write
) -> None:
    json_file, folder = write_data(animals)
    register_coco_data("animals", json_file, folder)
    assert completes_keypoints("animals")
    forget("animals")
    register_coco_instances("animals", {}, str(json_file), str(folder))
    assert not completes_keypoints("animals")


def test_data_without_keypoints_needs_no_names(animals: Json, write_data: Write) -> None:
    animals["categories"][0].pop("oks_sigmas")
    for annotation in animals["annotations"]:
        annotation.pop("keypoints", None)
    data = register_coco_data("animals", *write_data(animals))
    assert (data.has_keypoints, data.keypoint_names, data.oks_sigmas) == (False, (), ())
    assert "keypoints" not in DatasetCatalog.get("animals")[0]["annotations"][0]


def test_cocos_names_have_cocos_sigmas(animals: Json, write_data: Write) -> None:
    animals["categories"][0] = {"id": 7, "name": "cat", "keypoints": COCO_NAMES}
    data = register_coco_data("animals", *write_data(animals))
    assert data.oks_sigmas == pytest.approx((0.026, 0.025, 0.025))


def test_a_flip_map_of_the_category_comes_first(animals: Json, write_data: Write) -> None:
    animals["categories"][0]["flip_map"] = []
    register_coco_data("animals", *write_data(animals))
    assert MetadataCatalog.get("animals").keypoint_flip_map == ()


@pytest.mark.parametrize(
    ("segmentation", "has_masks", "said"),
    [
        ([[4, 4, 9, 4, 9, 9]], True, 0),
        ({"size": [32, 40], "counts": [0, 1280]}, True, 0),
        (None, False, 1),  # partly there: Detectron2 could not train masks
    ],
)
def test_masks_are_described(
    animals: Json,
    write_data: Write,
    caplog: pytest.LogCaptureFixture,
    segmentation: Any,
    has_masks: bool,
    said: int,
) -> None:
    animals["annotations"][0]["segmentation"] = segmentation
    assert register_coco_data("animals", *write_data(animals)).has_masks == has_masks
    assert caplog.text.count('1 of 3 annotations have no "segmentation"') == said


def test_registering_the_same_files_again_reads_them_again(
    animals: Json, write_data: Write
) -> None:
    register_coco_data("animals", *write_data(animals))
    DatasetCatalog.get("animals")
    animals["categories"][1]["name"] = "wolf"
    assert register_coco_data("animals", *write_data(animals)).class_names == ("wolf", "cat")
    assert MetadataCatalog.get("animals").thing_classes == ["wolf", "cat"]


def test_a_name_of_something_else_is_refused(animals: Json, write_data: Write) -> None:
    json_file, folder = write_data(animals)
    with pytest.raises(ValueError, match="'coco_2017_val' is already registered; choose another"):
        register_coco_data("coco_2017_val", json_file, folder)
    register_coco_data("animals", json_file, folder)
    with pytest.raises(ValueError, match="'animals' is already registered"):
        register_coco_data("animals", json_file, folder.parent)
    assert MetadataCatalog.get("animals").image_root == str(folder)


def cat(**changes: Any) -> Callable[[Json], None]:
    """Changes the category "cat"; None removes an entry."""

    def change(content: Json) -> None:
        category = content["categories"][0]
        category.update(changes)
        for key in [key for key, value in changes.items() if value is None]:
            del category[key]

    return change


def annotation(**changes: Any) -> Callable[[Json], None]:
    """Changes the first annotation."""
    return lambda content: content["annotations"][0].update(changes)


def both_named(key: str, value: Any) -> Callable[[Json], None]:
    """Gives the dog keypoints as well, like the cat's but for one entry."""

    def change(content: Json) -> None:
        cat_category, dog = content["categories"]
        dog.update({**cat_category, "id": 3, "name": "dog", key: value})
        points = [5, 6, 2] * len(dog["keypoints"])
        content["annotations"][1]["keypoints"] = points

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(annotations=3), ['no list "annotations"']),
        (lambda c: c.pop("images"), ['no list "images"']),
        (lambda c: c.update(categories={}), ['no list "categories"']),
        (lambda c: c.update(categories=[]), ['"categories" is empty']),
        (lambda c: c["annotations"][1].pop("bbox"), ["annotation 2", "required field bbox"]),
        (lambda c: c["images"][0].pop("height"), ["a.png", "required field height"]),
        (annotation(category_id=9), ["annotation 1", "category_id is 9", "[3, 7]"]),
        (annotation(bbox=[1, 2, None, 4]), ["annotation 1", "bbox[2]", "got null"]),
        (annotation(image_id=[10]), ["annotation 1", "image_id is [10]"]),
        (annotation(segmentation=[4, 4, 9]), ["annotation 1", "segmentation is [4, 4, 9]"]),
        (annotation(keypoints=[[5, 6, 2]]), ["annotation 1", "keypoints[0]", "got array"]),
        (annotation(keypoints=[5, 6, None]), ["annotation 1", "keypoints[2]", "got null"]),
        (annotation(ignore=1), ["annotation 1", "ignore is 1"]),
        (cat(keypoints=None), ["'cat'", "annotation 1 has 3 keypoints", '"keypoints": [names]']),
        (cat(keypoints=["a", "b"]), ["annotation 1 has 9 keypoint numbers", "2 names, 6 in all"]),
        (cat(keypoints="abc"), ["'abc'", "a list of names"]),
        (cat(keypoints=["a", "b", "a"]), ["repeats a"]),
        (cat(keypoints=["left_a", "b", "c"]), ["'left_a' has no twin right_a", '"flip_map"']),
        (cat(keypoints=["a", "b", "c"]), ["left or right", '"flip_map": []', "flips images"]),
        (cat(flip_map=[["left_ear", "ear"]]), ["unknown or repeated: ['ear']"]),
        (cat(flip_map=[["tail", "tail"]]), ["unknown or repeated: ['tail', 'tail']"]),
        (cat(flip_map={"left_ear": "right_ear"}), ["not a list of pairs"]),
        (cat(flip_map=3), ["not a list of pairs"]),
        (cat(skeleton=[[0, 1]]), ['"skeleton" has [0, 1]', "from 1 to 3"]),
        (cat(skeleton=[1, 2]), ['"skeleton" has 1', "two numbers"]),
        (cat(oks_sigmas=None), ['"oks_sigmas": [0.05, 0.05, 0.05]', "0.107 (hips)", "annotators"]),
        (cat(oks_sigmas=[0.1, 0.1]), ["[0.1, 0.1]", "3 numbers above 0"]),
        (cat(oks_sigmas=[0.1, 0.1, 0]), ["3 numbers above 0"]),
        (cat(oks_sigmas=["a", "b", "c"]), ["3 numbers above 0"]),
        (both_named("keypoints", ["tail"]), ["'cat' and 'dog' differ in \"keypoints\""]),
        (both_named("oks_sigmas", [0.1, 0.1, 0.1]), ["differ in \"oks_sigmas\""]),
    ],
)  # fmt: skip
def test_a_malformed_json_is_told_where_why_and_the_cure(
    animals: Json, write_data: Write, change: Callable[[Json], None], words: list[str]
) -> None:
    change(animals)
    json_file, folder = write_data(animals)
    with pytest.raises(ValueError) as error:
        register_coco_data("animals", json_file, folder)
    for word in [str(json_file), *words]:
        assert word in str(error.value)
    assert "animals" not in DatasetCatalog


@pytest.mark.parametrize(
    ("text", "words"),
    [("{not json", "not json: Expecting"), ("[]", "a json list"), ("{}", "has nothing")],
)
def test_a_file_of_another_kind_is_told(write_data: Write, text: str, words: str) -> None:
    json_file, folder = write_data(text)
    with pytest.raises(ValueError) as error:
        register_coco_data("animals", json_file, folder)
    assert words in str(error.value)
    assert str(json_file) in str(error.value)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("animals.json", "annotation file"),
        ("images", "image folder"),
        ("images/a.png", '"file_name" is relative'),
    ],
)
def test_a_missing_path_is_named(
    animals: Json, write_data: Write, missing: str, words: str
) -> None:
    json_file, folder = write_data(animals)
    path = json_file.parent / missing
    path.rename(json_file.parent / "moved")
    with pytest.raises(FileNotFoundError) as error:
        register_coco_data("animals", json_file, folder)
    assert f"{path} does not exist" in str(error.value)
    assert words in str(error.value)
