"""The copy without what is bad: Detectron2 trains on it, and what was good is still there."""

import json
from pathlib import Path

import pytest
from damages import DAMAGES, duplicate, one
from good_data import Damage, GoodData

from nonlocal_det.data.check import ISSUE_TYPES, check_dataset, write_clean

PARTS = frozenset({"masks", "keypoints", "raw keypoints", "evaluation"})
BAD = [
    (kind, damage)
    for kind, damage, _ in DAMAGES
    if ISSUE_TYPES[kind].stops(PARTS) and "--allow-bad-data" in ISSUE_TYPES[kind].training
]
WHOLE_FILE = {"boxes_xyxy", "boxes_relative"}


@pytest.mark.parametrize(("kind", "damage"), BAD, ids=[f"{k}-{i}" for i, (k, _) in enumerate(BAD)])
def test_what_stops_is_left_out_and_the_rest_stays(
    good: GoodData, tmp_path: Path, kind: str, damage: Damage
) -> None:
    damage(good)
    json_file, root = good.write()
    clean = tmp_path / "made" / "clean.json"
    number = write_clean(check_dataset(json_file, root, images="all"), clean, PARTS)
    again = check_dataset(clean, root, images="all")
    if kind in WHOLE_FILE:
        assert not any(number.values())
        return
    assert again.findings.stopping(PARTS) == []
    left = again.num_images, again.num_annotations
    if kind == "image_id_type":  # no annotation is known to be that image's
        assert left == (3, 13)
    elif number["images"]:  # the second image takes its three objects with it
        assert left == (3, 10)
    else:  # of annotations only the one is gone, or corrected
        assert left in ((4, 12), (4, 13))
    assert sum(number.values()) > 0


def test_equal_ids_get_new_ones_and_wrong_counts_are_corrected(
    good: GoodData, tmp_path: Path
) -> None:
    one(id=3, num_keypoints=9)(good)
    json_file, root = good.write()
    number = write_clean(check_dataset(json_file, root), tmp_path / "clean.json", PARTS)
    assert number == {"images": 0, "annotations": 0, "corrected": 1}
    expected = [*good.content["annotations"]]
    expected[1] = {**expected[1], "id": 100, "num_keypoints": 2}  # 99 was the largest
    assert json.loads((tmp_path / "clean.json").read_text())["annotations"] == expected


def test_an_image_takes_its_annotations_with_it(good: GoodData, tmp_path: Path) -> None:
    good.path.unlink()
    json_file, root = good.write()
    number = write_clean(check_dataset(json_file, root), tmp_path / "clean.json", PARTS)
    assert number == {"images": 1, "annotations": 3, "corrected": 0}
    clean = json.loads((tmp_path / "clean.json").read_text())
    assert [image["id"] for image in clean["images"]] == [1, 3, 4]
    assert {a["image_id"] for a in clean["annotations"]} == {1, 3, 4}


def test_parts_that_are_not_used_do_not_matter(good: GoodData, tmp_path: Path) -> None:
    one(num_keypoints=9)(good)
    checked = check_dataset(*good.write())
    assert [f.kind for f in checked.findings.stopping(PARTS)] == ["num_keypoints_wrong"]
    assert checked.findings.stopping(PARTS - {"keypoints"}) == []


def test_the_file_itself_is_not_replaced(good: GoodData) -> None:
    duplicate("annotations", bbox=[1, 1, 2])(good)
    json_file, root = good.write()
    before = json_file.read_bytes()
    with pytest.raises(ValueError, match="is the file itself"):
        write_clean(check_dataset(json_file, root), json_file, PARTS)
    assert json_file.read_bytes() == before


def test_a_file_that_is_bad_as_a_whole_cannot_be_cleaned(good: GoodData, tmp_path: Path) -> None:
    good.content["images"] = []
    with pytest.raises(ValueError, match=r"good.json: .images. is empty .no_images.*stops"):
        write_clean(check_dataset(*good.write()), tmp_path / "clean.json", PARTS)
    assert not (tmp_path / "clean.json").exists()
