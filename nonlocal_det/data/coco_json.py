"""Read a user's COCO json and check, before any training, what would fail obscurely during it."""

import json
import logging
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

SECTIONS = ("images", "annotations", "categories")
REQUIRED = {
    "images": ("id", "file_name", "height", "width"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}


def read_coco_json(json_file: Path, image_root: Path) -> dict[str, Any]:
    """Read a json in COCO's detection format.

    Args:
        json_file: the annotation file.
        image_root: the folder of the images; the first image is looked up in it.

    Returns:
        The file's content.

    Raises:
        FileNotFoundError: the file, the folder or the first image is missing.
        ValueError: the content is not in COCO's detection format.
    """
    if not json_file.is_file():
        raise FileNotFoundError(
            f"annotation file {json_file} does not exist; give the path of a COCO json"
        )
    if not image_root.is_dir():
        raise FileNotFoundError(
            f"image folder {image_root} does not exist; give the folder to which each "
            f'"file_name" in {json_file} is relative'
        )
    try:
        content = json.loads(json_file.read_text(encoding="utf-8"))
    except ValueError as error:  # not UTF-8 is one, too
        raise ValueError(f"{json_file} is not json ({error}); expected a COCO json") from error
    _check_sections(content, json_file)
    _check_categories_of(content, json_file)
    first = image_root / content["images"][0]["file_name"]
    if not first.is_file():
        raise FileNotFoundError(
            f"image {first} does not exist, but {json_file} lists it; the image folder must be the "
            'one to which each "file_name" is relative'
        )
    return content


def _check_sections(content: Any, json_file: Path) -> None:
    if not isinstance(content, dict):
        raise ValueError(
            f"{json_file} holds a {type(content).__name__}, not COCO's object with "
            f"{', '.join(SECTIONS)} (a list of detections is a result file)"
        )
    for section in SECTIONS:
        if not isinstance(content.get(section), list):
            raise ValueError(
                f'{json_file}: no list "{section}"; COCO\'s detection format has '
                f"{', '.join(SECTIONS)}, this file has {', '.join(content) or 'nothing'}"
            )
        if section != "annotations" and not content[section]:
            raise ValueError(f'{json_file}: "{section}" is empty; expected at least one')
        for position, record in enumerate(content[section]):
            missing = [key for key in REQUIRED[section] if key not in record]
            if missing:
                raise ValueError(
                    f'{json_file}: {section}[{position}] has no "{missing[0]}", '
                    "which COCO's detection format needs"
                )


def _check_categories_of(content: dict[str, Any], json_file: Path) -> None:
    """Each annotation must name a known category; what only the evaluation needs is a warning."""
    known = {category["id"] for category in content["categories"]}
    for annotation in content["annotations"]:
        if annotation["category_id"] not in known:
            raise ValueError(
                f'{json_file}: annotation {annotation["id"]} has "category_id" '
                f'{annotation["category_id"]}, but "categories" has only {sorted(known)}; '
                "`python tools/check_dataset.py JSON IMAGES` lists what is wrong with it"
            )
    for key, value in {"area": "its box's", "iscrowd": "0"}.items():
        count = sum(key not in annotation for annotation in content["annotations"])
        if count:
            logger.warning(
                f'{json_file}: {count} of {len(content["annotations"])} annotations have no "{key}"'
                f"; the evaluation takes it as {value}"
            )
