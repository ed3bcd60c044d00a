"""Name the format of a file that is not COCO's detection format, and what to do with it."""

import re
from pathlib import Path
from typing import Any

HEAD = 4096
_BINARY = {
    b"\x1f\x8b": "a gzip file; unpack it",
    b"PK\x03\x04": "a zip file; unpack it",
    b"\x80": "a pickle; Detectron2 dicts in it must be registered by DatasetCatalog.register",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
}
_VOC = "Pascal VOC (XML); convert it, or see detectron2.data.datasets.register_pascal_voc"
_VIA = "VIA (VGG Image Annotator); export it as COCO"
_OBJECTS = (
    ({"shapes", "imagePath"}, "labelme (one file an image); convert it to COCO"),
    ({"_via_img_metadata"}, _VIA),
    ({"metainfo", "data_list"}, "OpenMMLab; give the COCO json it was made from"),
    ({"items", "categories"}, "Datumaro; export it as COCO"),
    ({"objects", "size"}, "Supervisely (one file an image); export it as COCO"),
    ({"features", "type"}, "GeoJSON; convert it to COCO"),
    ({"questions"}, "VQA questions"),
    ({"imgHeight", "imgWidth", "objects"}, "Cityscapes polygons (one file an image)"),
)
_LISTS = (
    ({"image_id", "score"}, "a COCO result file (detections); give the annotations"),
    ({"file_name", "annotations"}, "Detectron2 dicts; DatasetCatalog.register a function"),
    ({"filename", "ann"}, "mmdetection's old format; give the COCO json it was made from"),
    ({"image", "annotations"}, "CreateML; export it as COCO"),
    ({"labels", "name"}, "BDD100K (Scalabel); convert it to COCO"),
    ({"data", "annotations"}, "Label Studio; export it as COCO"),
    ({"data_row"}, "Labelbox; convert it to COCO"),
)
_FOLDERS = (
    ("*.xml", _VOC),
    ("Annotations/*.xml", _VOC),
    ("*.txt", "YOLO; convert it to COCO"),
    ("labels/**/*.txt", "YOLO; convert it to COCO"),
    ("*.json", "a folder of json files (labelme?); give one COCO json"),
)


def format_of_text(head: bytes) -> str:
    """Name the format of a file that is not json, by its first bytes; "" if unknown."""
    for magic, name in _BINARY.items():
        if head.startswith(magic):
            return name
    text = head.decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n")
    if text.startswith("<"):
        if "<annotations>" in text:
            return 'CVAT (XML); export it as "COCO 1.0"'
        return _VOC if "<annotation" in text else "XML, not json"
    lines = text.splitlines()
    first = lines[0] if lines else ""
    if re.fullmatch(r"\d+( -?[\d.eE+-]+){4,}\s*", first):
        return "YOLO (a line of numbers an object); convert it to COCO"
    if re.search(r"^(names|nc|train)\s*:", text, re.MULTILINE):
        return "a YOLO data.yaml; convert its labels to COCO"
    if first.count(",") >= 3 and not first.startswith(("{", "[")):
        return "a table (CSV); convert it to COCO"
    if first.startswith("{") and first.rstrip().endswith("}") and len(lines) > 1:
        return "json lines (an object a line); convert it to COCO"
    return ""


def format_of_folder(folder: Path) -> str:
    """Name the format whose files a folder holds; "" if unknown."""
    for pattern, name in _FOLDERS:
        if next(folder.glob(pattern), None) is not None:
            return name
    return ""


def format_of_json(content: Any) -> str:
    """Name the format of a parsed json; "" for COCO's for detection and for what is unknown."""
    if isinstance(content, list):
        first = content[0] if content and isinstance(content[0], dict) else {}
        return _first_match(_LISTS, first) or "a json list"
    if not isinstance(content, dict):
        return "a json null" if content is None else f"a json {type(content).__name__}"
    values = list(content.values())
    if values and all(isinstance(value, dict) and "regions" in value for value in values):
        return _VIA
    return _first_match(_OBJECTS, content) or _other_coco_format(content)


def _first_match(formats: tuple[tuple[set[str], str], ...], keys: dict[str, Any]) -> str:
    return next((name for needed, name in formats if needed <= keys.keys()), "")


def _other_coco_format(content: dict[str, Any]) -> str:
    """Name panoptic, captions and LVIS, which have COCO's sections."""
    first = {
        key: content[key][0]
        for key in ("annotations", "images", "categories")
        if isinstance(content.get(key), list) and content[key] and isinstance(content[key][0], dict)
    }
    annotation, image = first.get("annotations", {}), first.get("images", {})
    if "segments_info" in annotation:
        return "COCO panoptic; give instances_*.json, or see register_coco_panoptic"
    if "caption" in annotation and "bbox" not in annotation:
        return "COCO captions; give instances_*.json"
    if "neg_category_ids" in image or {"synset", "frequency"} <= first.get("categories", {}).keys():
        return "LVIS; see detectron2.data.datasets.register_lvis_instances"
    return ""
