"""Check one data set: its json in bulk, its images in parallel."""

from pathlib import Path
from typing import Any

from .annotations import check_boxes, check_convention, check_fields
from .findings import Findings
from .image_files import Images, check_image_files
from .keypoints import check_keypoints
from .reading import read_content
from .records import ImageTable, check_categories
from .remembering import memory_of, recall, remember
from .segmentations import check_segmentations
from .table import AnnotationTable

# What boxes of another convention bring about: of no interest beside their cause.
CONSEQUENCES = (
    *("box_over_edge", "box_tiny", "box_outside", "polygon_off_box", "polygon_over_box"),
    *("keypoint_off_box", "area_wrong"),
)


class Checked:
    """A data set that has been checked.

    Args:
        json_file: its annotation file.
        image_root: the folder to which each "file_name" is relative; None: images are not looked
            for.

    Attributes:
        findings: what is wrong with it.
        content: the json; None when it is not a COCO json at all.
        num_images: in the json.
        num_annotations: in the json.
        num_read: images whose files were read.
        remembered: the json was not read: an earlier check of the same content has been recalled.
            Then the content is no more than images and categories, and the findings in the json
            have no positions.
    """

    def __init__(self, json_file: Path, image_root: Path | None) -> None:
        self.json_file, self.image_root = json_file, image_root
        self.findings = Findings(json_file)
        self.content: dict[str, Any] | None = None
        self.num_images = self.num_annotations = self.num_read = 0
        self.remembered = False


def check_dataset(
    json_file: Path,
    image_root: Path | None = None,
    *,
    images: Images = "sample",
    training: bool = True,
    progress: bool = False,
    remembering: bool = False,
) -> Checked:
    """Check a data set in COCO's detection format.

    Args:
        json_file: the annotation file.
        image_root: the folder to which each "file_name" is relative; None: images are not looked
            for.
        images: whose files are read to their end: "none", "sample" (200 of them) or "all".
        training: it is to be trained with: there must be something to learn.
        progress: show a bar while images are read.
        remembering: recall an earlier check of a json of the same content, and remember this one;
            see `remembering`. Images are always looked for.

    Returns:
        The findings, and the content for whoever goes on with it.
    """
    checked = Checked(json_file, image_root)
    memory = memory_of(json_file, training) if remembering and json_file.is_file() else None
    table = _recalled(checked, memory) if memory else None
    if table is None:
        table = _read(checked, training)
        if table is not None and memory:
            assert checked.content is not None
            remember(memory, checked.findings.by_kind, checked.content)
    if table is not None and image_root is not None:
        checked.num_read = check_image_files(
            table, image_root, images, checked.findings, progress=progress
        )
    return checked


def _recalled(checked: Checked, memory: Path) -> ImageTable | None:
    kept = recall(memory)
    if kept is None:
        return None
    checked.remembered = True
    checked.findings.by_kind = kept["findings"]
    checked.content = {"images": kept["images"], "categories": kept["categories"]}
    checked.num_images, checked.num_annotations = len(kept["images"]), kept["num_annotations"]
    checked.findings.use(kept["images"], [])
    noted_already = Findings(checked.json_file)
    noted_already.use(kept["images"], [])
    return ImageTable(kept["images"], noted_already)


def _read(checked: Checked, training: bool) -> ImageTable | None:
    content = checked.content = read_content(checked.findings)
    if content is None:
        return None
    checked.num_images = len(content["images"])
    checked.num_annotations = len(content["annotations"])
    checked.findings.use(content["images"], content["annotations"])
    return _check_content(content, checked.findings, training)


def _check_content(content: dict[str, Any], findings: Findings, training: bool) -> ImageTable:
    categories = check_categories(content["categories"], findings)
    images = ImageTable(content["images"], findings)
    table = AnnotationTable(content["annotations"], images, set(categories), findings)
    check_fields(table, findings)
    whole = check_boxes(table, findings)
    extents = check_segmentations(table, findings)
    check_convention(table, whole, extents, findings)
    check_keypoints(table, categories, findings)
    if findings.by_kind.keys() & {"boxes_xyxy", "boxes_relative"}:
        for kind in CONSEQUENCES:
            findings.by_kind.pop(kind, None)
    _check_use(table, images, categories, training, findings)
    return images


def _check_use(
    table: AnnotationTable,
    images: ImageTable,
    categories: dict[int, dict[str, Any]],
    training: bool,
    findings: Findings,
) -> None:
    """Find what is never used: images without objects, categories without annotations."""
    annotated, with_objects = set(table.image.tolist()), set(table.image[~table.crowd].tolist())
    for position in images.position.values():
        if position not in images.names:
            continue
        if position not in annotated:
            findings.image("image_without_objects", position, "no annotation")
        elif position not in with_objects:
            findings.image("image_with_crowds_only", position, "only crowds")
    used = set(table.category.tolist())
    for number, category in categories.items():
        if number not in used:
            findings.file("category_unused", f"{category['name']!r} (id {number})")
    if training and not with_objects - {-1}:
        findings.file("nothing_to_learn", f"{len(table.rows)} usable annotations, all of crowds")
