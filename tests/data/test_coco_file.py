"""The one reader of a COCO json: parses once, and as Python's json does."""

import json
import math
from pathlib import Path

import msgspec
import pytest
from good_data import GoodData
from small_models import small_config

from nonlocal_det.data import check_registered, forget_contents, read_coco, register_coco_data
from nonlocal_det.data.coco_file import decode_json


@pytest.fixture(autouse=True)
def _fresh():
    forget_contents()
    yield
    forget_contents()


@pytest.mark.parametrize(
    "text",
    [
        "[NaN]",
        "[-Infinity, 1e400]",
        '["\\ud800"]',
        "[1e5, 0.1, -3, 1e-7]",
        str(10**400),
        '"\u00e9"',
    ],
)
def test_json_is_decoded_as_python_does(text: str) -> None:
    assert repr(decode_json(text.encode())) == repr(json.loads(text))
    assert math.isnan(decode_json(b"NaN"))


def test_registration_and_check_parse_a_file_once(good: GoodData, monkeypatch) -> None:
    json_file, root = good.write()
    parsed = []
    decode = msgspec.json.decode
    monkeypatch.setattr(msgspec.json, "decode", lambda data: parsed.append(1) or decode(data))
    good.content["categories"][0]["flip_map"] = [["left", "right"]]
    for category in good.content["categories"]:
        category |= {"flip_map": [["left", "right"]], "oks_sigmas": [0.1] * 3}
    json_file, root = good.write()
    register_coco_data("damaged", json_file, root)
    cfg = small_config("quick/nl_mask_keypoint_rcnn_R18", "DATASETS.TEST", ("damaged",))
    check_registered(cfg, ["damaged"], ["damaged"], None)
    assert len(parsed) == 1


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for count in (1, 2):
        content = {"images": [{}] * count, "annotations": [], "categories": [{}]}
        path.write_text(json.dumps(content))
        assert len(read_coco(path)["images"]) == count
    assert read_coco(path) is read_coco(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.json does not exist"):
        read_coco(path)
