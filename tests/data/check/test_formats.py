"""A file of another format is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from good_data import GoodData

from nonlocal_det.data.check import check_dataset

BOX = [1, 2, 3, 4]
IMAGE = {"id": 1, "file_name": "a.jpg", "height": 2, "width": 2}


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ([{"image_id": 1, "category_id": 1, "bbox": BOX, "score": 0.5}], "COCO result file"),
        ([{"file_name": "a.jpg", "annotations": []}], "Detectron2 dicts"),
        ([{"filename": "a.jpg", "ann": {}}], "mmdetection"),
        ([{"image": "a.jpg", "annotations": [{"coordinates": {}}]}], "CreateML"),
        ([{"name": "a.jpg", "labels": []}], "BDD100K"),
        ([{"data": {}, "annotations": []}], "Label Studio"),
        ([{"data_row": {}}], "Labelbox"),
        ([], "json list"),
        (3, "json int"),
        (None, "json null"),
        ({"shapes": [], "imagePath": "a.jpg"}, "labelme"),
        ({"a.jpg123": {"filename": "a.jpg", "regions": []}}, "VIA"),
        ({"_via_img_metadata": {}}, "VIA"),
        ({"metainfo": {}, "data_list": []}, "OpenMMLab"),
        ({"items": [], "categories": {}}, "Datumaro"),
        ({"objects": [], "size": {}}, "Supervisely"),
        ({"type": "FeatureCollection", "features": []}, "GeoJSON"),
        ({"questions": []}, "VQA"),
        ({"imgHeight": 1, "imgWidth": 1, "objects": []}, "Cityscapes"),
        ({"images": [IMAGE], "annotations": [{"segments_info": []}]}, "COCO panoptic"),
        ({"images": [IMAGE], "annotations": [{"caption": "a cat"}]}, "COCO captions"),
        ({"images": [{**IMAGE, "neg_category_ids": []}], "annotations": []}, "LVIS"),
    ],
)
def test_a_json_of_another_format_is_named(tmp_path: Path, content: Any, name: str) -> None:
    assert_named(tmp_path / "x.json", json.dumps(content).encode(), name)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"<?xml version='1.0'?>\n<annotation><object/></annotation>", "Pascal VOC"),
        (b"<annotations><version>1.1</version></annotations>", "CVAT"),
        (b"<html>", "XML"),
        (b"0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.2 0.2\n", "YOLO"),
        (b"train: images\nnc: 2\nnames: [a, b]\n", "data.yaml"),
        (b"filename,x1,y1,x2,y2,label\n", "CSV"),
        (b'{"a": 1}\n{"a": 2}\n', "json lines"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"PK\x03\x04....", "zip"),
        (b"\x80\x04\x95", "pickle"),
        (b"\x89PNG\r\n", "PNG"),
    ],
)
def test_a_file_that_is_no_json_is_named(tmp_path: Path, data: bytes, name: str) -> None:
    assert_named(tmp_path / "x.json", data, name)


@pytest.mark.parametrize(
    ("inside", "name"),
    [("Annotations/a.xml", "Pascal VOC"), ("labels/train/a.txt", "YOLO"), ("a.json", "labelme"),
     ("nothing/a", "a folder")],
)  # fmt: skip
def test_a_folder_is_named(tmp_path: Path, inside: str, name: str) -> None:
    (tmp_path / inside).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / inside).touch()
    finding = check_dataset(tmp_path).findings.by_kind["other_format"]
    assert name in finding.examples[0].detail


def assert_named(path: Path, data: bytes, name: str) -> None:
    path.write_bytes(data)
    findings = check_dataset(path).findings.by_kind
    assert set(findings) == {"other_format"}
    assert name in findings["other_format"].examples[0].detail


def test_cocos_own_format_is_not_named(good: GoodData) -> None:
    assert check_dataset(good.write()[0]).findings.by_kind == {}
