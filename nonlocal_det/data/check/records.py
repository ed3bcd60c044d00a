"""Check the categories and images of a json: what their entries are, not what the files hold."""

import re
from collections import Counter
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from .findings import Findings

CONTROL = re.compile(r"[\\\x00-\x1f\x7f]")


def is_whole(value: Any) -> bool:
    """Whether a json value is a whole number of 63 bits; true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62


def check_categories(categories: list[Any], findings: Findings) -> dict[int, dict[str, Any]]:
    """Check the json's "categories".

    Returns:
        The well-formed ones by id.
    """
    found: dict[int, dict[str, Any]] = {}
    names: Counter[str] = Counter()
    for position, one in enumerate(categories):
        if (
            not isinstance(one, dict)
            or not is_whole(one.get("id"))
            or not isinstance(one.get("name"), str)
        ):
            findings.file("category_malformed", f"categories[{position}] is {one!r}"[:200])
            continue
        if one["id"] in found:
            both = f"{found[one['id']]['name']!r} and {one['name']!r}"
            findings.file("category_id_duplicate", f"{both} have the id {one['id']}")
        found[one["id"]] = one
        names[str(one["name"])] += 1
    for name, count in names.items():
        if count > 1:
            findings.file("category_name_duplicate", f"{count} categories are named {name!r}")
    if found and sorted(found) != list(range(1, len(found) + 1)):
        findings.file("category_ids_gap", f"{len(found)} ids from {min(found)} to {max(found)}")
    return found


class ImageTable:
    """The images of a json, and where they are in it.

    Args:
        images: the json's "images".
        findings: gets what is wrong with them.

    Attributes:
        position: of an image's id, in "images".
        sizes: (number of images, 2) float64, width and height; NaN where they are not known.
        names: by position, those that may be opened: inside the folder.
    """

    def __init__(self, images: list[Any], findings: Findings) -> None:
        self.position: dict[int, int] = {}
        self.sizes = np.full((len(images), 2), np.nan)
        self.names: dict[int, str] = {}
        seen: dict[str, int] = {}
        for index, image in enumerate(images):
            if isinstance(image, dict) and "id" in image:
                self._add_id(index, image, findings)
            if not self._is_whole_record(index, image, findings):
                continue
            self._add_size(index, image, findings)
            name = image["file_name"]
            if self._may_be_opened(index, name, findings):
                if name in seen:
                    other = images[seen[name]].get("id")
                    findings.image("image_name_duplicate", index, f"also the file of image {other}")
                seen.setdefault(name, index)
                self.names[index] = name

    def _is_whole_record(self, index: int, image: Any, findings: Findings) -> bool:
        if not isinstance(image, dict):
            findings.image("image_malformed", index, f"it is {image!r}"[:100])
            return False
        missing = [key for key in ("id", "file_name", "height", "width") if key not in image]
        if missing:
            findings.image("image_malformed", index, f"no {', '.join(missing)}")
            return False
        if not isinstance(image["file_name"], str) or not image["file_name"]:
            findings.image("image_malformed", index, f"file_name is {image['file_name']!r}"[:100])
            return False
        return True

    def _add_id(self, index: int, image: dict[str, Any], findings: Findings) -> None:
        number = image["id"]
        if not is_whole(number):
            findings.image("image_id_type", index, f"id is {number!r}"[:100])
        elif number in self.position:
            findings.image("image_id_duplicate", index, f"the id {number} again")
            # both are doubtful, so both are left out
            findings.by_kind["image_id_duplicate"].images.add(self.position[number])
        else:
            self.position[number] = index

    def _add_size(self, index: int, image: dict[str, Any], findings: Findings) -> None:
        size = image["width"], image["height"]
        if all(is_whole(side) and side > 0 for side in size):
            self.sizes[index] = size
        else:
            findings.image("image_side_invalid", index, f"width, height = {size}"[:100])

    def _may_be_opened(self, index: int, name: str, findings: Findings) -> bool:
        path = PurePosixPath(name)
        windows = PureWindowsPath(name)
        if path.is_absolute() or windows.drive or ".." in (*path.parts, *windows.parts):
            findings.image("image_name_outside", index, f"file_name is {name!r}"[:200])
            return False
        if CONTROL.search(name):
            findings.image("image_name_separator", index, f"file_name is {name!r}"[:200])
            return False
        if not name.isascii():
            findings.image("image_name_not_ascii", index, f"file_name is {name!r}"[:200])
        return True
