"""The rows of a COCO json, decoded and validated one by one: categories, images, annotations."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Struct

from .findings import Findings

Whole = Annotated[int, Meta(ge=-(2**62), le=2**62)]  # fits numpy's int64
Side = Annotated[int, Meta(ge=1, le=2**62)]
Row = TypeVar("Row", bound=Struct)
PART = 20_000
"""Annotations that are decoded at a time: COCO's polygons have 50 million numbers."""
_CONTROL = re.compile(r"[\\\x00-\x1f\x7f]")


class Category(Struct):
    """A row of "categories"; keypoints are read by `find_keypoint_schema`."""

    id: Whole
    name: str
    keypoints: Any = None


class Image(Struct):
    """A row of "images"."""

    id: Whole
    file_name: Annotated[str, Meta(min_length=1)]
    width: Side
    height: Side


class RunLength(Struct, gc=False):
    """A mask as run lengths; "size" is height and width, text is COCO's compressed form."""

    size: tuple[Side, Side]
    counts: str | list[Whole]


class Annotation(Struct, gc=False):
    """A row of "annotations". An image may have a text as id; then no image is found for it."""

    id: Whole
    image_id: Whole | str
    category_id: Whole
    bbox: tuple[float, float, float, float]
    iscrowd: int | float | bool = 0
    ignore: Any = 0
    area: float | None = None
    segmentation: list[list[float]] | RunLength | None = None
    keypoints: list[float] | None = None
    num_keypoints: float | None = None


_KINDS: dict[type[Struct], dict[str, str]] = {
    Category: {"": "category_malformed"},
    Image: {
        **{"": "image_malformed", "id": "image_id_type"},
        **dict.fromkeys(("width", "height"), "image_side_invalid"),
    },
    Annotation: {
        "": "annotation_malformed",
        "bbox": "box_malformed",
        "iscrowd": "iscrowd_invalid",
        "area": "area_wrong",
        "segmentation": "segmentation_malformed",
        "keypoints": "keypoints_malformed",
        "num_keypoints": "num_keypoints_wrong",
    },
}
"""The kind of issue of each wrong field; "": of all others."""
_OPTIONAL = {
    to: {field.name for field in msgspec.structs.fields(to) if not field.required} for to in _KINDS
}
_FALSE_IS_ABSENT = ("segmentation", "keypoints")  # for Detectron2: "", {} and 0


def decode_row(row: Any, to: type[Row]) -> tuple[Row | None, list[tuple[str, str]]]:
    """Decode one row; a field that may be absent is left out where it is wrong.

    Returns:
        The row, or None if a field is wrong that must be there; kind and detail of each fault.
    """
    faults: list[tuple[str, str]] = []
    while True:
        try:
            return msgspec.convert(row, to), faults
        except (msgspec.ValidationError, UnicodeEncodeError) as error:  # a lone surrogate
            reason = str(error).replace("`", "")
            match = re.search(r" - at \$\.(\w+)", reason)
            field = match[1] if match else ""
            value = f"{field} is {row[field]!r}" if field else f"the row is {row!r}"
            if not (field in _FALSE_IS_ABSENT and not row[field]):
                kind = _KINDS[to].get(field, _KINDS[to][""])
                faults.append((kind, f"{value[:100]} ({reason})"))
            if field not in _OPTIONAL[to]:
                return None, faults
            row = {key: value for key, value in row.items() if key != field}


def read_categories(rows: list[Any], findings: Findings) -> dict[int, Category]:
    """Decode the json's "categories", and return the well-formed ones by id."""
    categories: dict[int, Category] = {}
    names: Counter[str] = Counter()
    for index, row in enumerate(rows):
        category, faults = decode_row(row, Category)
        for kind, detail in faults:
            findings.file(kind, f"categories[{index}]: {detail}")
        if category is None:
            continue
        if category.id in categories:
            both = f"{categories[category.id].name!r} and {category.name!r}"
            findings.file("category_id_duplicate", f"{both} have the id {category.id}")
        categories[category.id] = category
        names[category.name] += 1
    for name, count in names.items():
        if count > 1:
            findings.file("category_name_duplicate", f"{count} categories are named {name!r}")
    return categories


class ImageTable:
    """The images of a json, and where they are in it.

    Args:
        rows: the json's "images".
        findings: gets what is wrong with them.

    Attributes:
        position: of an image's id, in "images"; no id is a text.
        sizes: (number of images, 2) float64, width and height; NaN where they are not known.
        names: by position, those that may be opened: inside the folder.
    """

    def __init__(self, rows: list[Any], findings: Findings) -> None:
        self.position: dict[int | str, int] = {}
        self.sizes = np.full((len(rows), 2), np.nan)
        self.names: dict[int, str] = {}
        first_of_name: dict[str, int] = {}
        for index, row in enumerate(rows):
            image, faults = decode_row(row, Image)
            for kind, detail in faults:
                findings.image(kind, index, detail)
            number = image.id if image else row.get("id") if isinstance(row, dict) else None
            if isinstance(number, int) and self.position.setdefault(number, index) != index:
                findings.image("image_id_duplicate", index, f"the id {number} again")
                # both are doubtful, so both are left out
                findings.by_kind["image_id_duplicate"].images.add(self.position[number])
            if image is None:
                continue
            self.sizes[index] = image.width, image.height
            if _may_be_opened(image.file_name, index, findings):
                self.names[index] = image.file_name
                first = first_of_name.setdefault(image.file_name, index)
                if first != index:
                    detail = f"also the file of image {rows[first]['id']}"
                    findings.image("image_name_duplicate", index, detail)


def _may_be_opened(name: str, index: int, findings: Findings) -> bool:
    path, windows = PurePosixPath(name), PureWindowsPath(name)
    if path.is_absolute() or windows.drive or ".." in (*path.parts, *windows.parts):
        findings.image("image_name_outside", index, f"file_name is {name!r}"[:200])
        return False
    if _CONTROL.search(name):
        findings.image("image_name_separator", index, f"file_name is {name!r}"[:200])
        return False
    return True


@dataclass
class AnnotationColumns:
    """Annotations column by column, n of them.

    Attributes:
        positions: (n,) int64, in the json's "annotations".
        ids: (n,) int64.
        image: (n,) int64, position of the image; -1 where there is none.
        category: (n,) int64, ids.
        crowd: (n,) bool.
        boxes: (n, 4) float64, x, y, width, height.
        sizes: (n, 2) float64, width and height of the image; NaN where it is not known.
        outlined: (n,) bool, whether there is a segmentation.
        has_keypoints: (n,) bool.
        extents: (n, 4) float64, x0, y0, x1, y1 of the polygons; NaN without polygons.
    """

    positions: np.ndarray
    ids: np.ndarray
    image: np.ndarray
    category: np.ndarray
    crowd: np.ndarray
    boxes: np.ndarray
    sizes: np.ndarray
    outlined: np.ndarray
    has_keypoints: np.ndarray
    extents: np.ndarray

    @classmethod
    def of(
        cls, rows: list[Annotation], positions: list[int], images: ImageTable
    ) -> "AnnotationColumns":
        """Make the columns of some rows; their extents are not yet known."""
        image = np.array([images.position.get(row.image_id, -1) for row in rows], np.int64)
        return cls(
            positions=np.array(positions, np.int64),
            ids=np.array([row.id for row in rows], np.int64),
            image=image,
            category=np.array([row.category_id for row in rows], np.int64),
            crowd=np.array([row.iscrowd == 1 for row in rows], bool),
            boxes=np.array([row.bbox for row in rows], float).reshape(-1, 4),
            # the last row is that of image -1
            sizes=np.vstack([images.sizes, [[np.nan, np.nan]]])[image],
            outlined=np.array([bool(row.segmentation) for row in rows], bool),
            has_keypoints=np.array([bool(row.keypoints) for row in rows], bool),
            extents=np.full((len(rows), 4), np.nan),
        )

    @classmethod
    def joined(cls, parts: list["AnnotationColumns"]) -> "AnnotationColumns":
        """Join the columns of all parts of a file."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


def read_annotations(
    rows: list[Any], images: ImageTable, categories: Mapping[int, Category], findings: Findings
) -> Iterator[tuple[list[Annotation], AnnotationColumns]]:
    """Decode the json's "annotations" in parts; note what is wrong, and unknown references.

    Yields:
        The well-formed rows of each part, and their columns; at least one part.
    """
    for start in range(0, max(len(rows), 1), PART):
        good: list[Annotation] = []
        positions: list[int] = []
        for position, row in enumerate(rows[start : start + PART], start):
            annotation, faults = decode_row(row, Annotation)
            for kind, detail in faults:
                findings.annotation(kind, position, detail)
            if annotation is None:
                continue
            good.append(annotation)
            positions.append(position)
            if annotation.ignore != 0:
                findings.annotation("ignore_set", position, f"ignore is {annotation.ignore!r}")
        columns = AnnotationColumns.of(good, positions, images)
        unknown = ~np.isin(columns.category, list(categories))
        findings.annotations(
            "annotation_category_unknown",
            columns.positions[unknown],
            lambda row: f"category_id is {row['category_id']!r}, not in {sorted(categories)}"[:200],
        )
        text = np.array([isinstance(row.image_id, str) for row in good], bool)
        for kind, where in (
            ("annotation_image_type", text),
            ("annotation_image_unknown", ~text & (columns.image < 0)),
        ):
            findings.annotations(
                kind, columns.positions[where], lambda row: f"image_id is {row['image_id']!r}"
            )
        yield good, columns
