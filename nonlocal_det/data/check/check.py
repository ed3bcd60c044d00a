"""Check one data set: its json in bulk, its images in parallel."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nonlocal_det.data.coco_file import CocoFileError, read_coco

from .boxes import check_boxes, check_convention, check_fields, check_ids
from .findings import Findings
from .image_files import Images, check_image_files
from .keypoints import check_keypoints, check_keypoints_absent
from .masks import check_segmentations, check_segmentations_absent
from .rows import AnnotationColumns, Category, ImageTable, read_annotations, read_categories

# What boxes of another convention cause: of no interest beside their cause.
CONSEQUENCES = ("box_over_edge", "box_outside", "polygon_off_box", "area_wrong")


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
    """

    def __init__(self, json_file: Path, image_root: Path | None) -> None:
        self.json_file, self.image_root = json_file, image_root
        self.content: dict[str, Any] | None = None
        self.num_images = self.num_annotations = self.num_read = 0
        try:
            self.content = read_coco(json_file)
        except FileNotFoundError:
            self.findings = Findings(json_file)
            self.findings.file("file_absent", "no such file")
        except CocoFileError as error:
            self.findings = Findings(json_file)
            self.findings.file(error.kind, error.detail)
        else:
            self.findings = Findings(json_file, self.content)
            self.num_images = len(self.content["images"])
            self.num_annotations = len(self.content["annotations"])


def check_dataset(
    json_file: Path,
    image_root: Path | None = None,
    *,
    images: Images = "sample",
    training: bool = True,
    progress: bool = False,
) -> Checked:
    """Check a data set in COCO's detection format.

    Args:
        json_file: the annotation file.
        image_root: the folder to which each "file_name" is relative; None: images are not looked
            for.
        images: whose files are read to their end: "none", "sample" (200 of them) or "all".
        training: it is to be trained with: there must be something to learn.
        progress: show a bar while images are read.

    Returns:
        The findings, and the content for whoever goes on with it.
    """
    checked = Checked(json_file, image_root)
    if checked.content is None:
        return checked
    table = _check_content(checked.content, checked.findings, training)
    if image_root is not None:
        checked.num_read = check_image_files(
            table, image_root, images, checked.findings, progress=progress
        )
    return checked


def check_rows(json_file: Path, content: dict[str, Any]) -> Findings:
    """Check that the rows of a json are well-formed and refer to each other, and no more."""
    findings = Findings(json_file, content)
    categories = read_categories(content["categories"], findings)
    images = ImageTable(content["images"], findings)
    for _ in read_annotations(content["annotations"], images, categories, findings):
        pass
    return findings


def _check_content(content: dict[str, Any], findings: Findings, training: bool) -> ImageTable:
    categories = read_categories(content["categories"], findings)
    images = ImageTable(content["images"], findings)
    parts = []
    for rows, part in read_annotations(content["annotations"], images, categories, findings):
        check_fields(rows, part, findings)
        check_boxes(part, findings)
        check_segmentations(rows, part, findings)
        check_keypoints(rows, part, categories, findings)
        parts.append(part)
    table = AnnotationColumns.joined(parts)
    check_ids(table, findings)
    check_segmentations_absent(table, findings)
    check_keypoints_absent(table, findings)
    check_convention(table, findings)
    if findings.by_kind.keys() & {"boxes_xyxy", "boxes_relative"}:
        for kind in CONSEQUENCES:
            findings.by_kind.pop(kind, None)
    _check_use(table, images, categories, training, findings)
    return images


def _check_use(
    table: AnnotationColumns,
    images: ImageTable,
    categories: Mapping[int, Category],
    training: bool,
    findings: Findings,
) -> None:
    """Find what is never used: images without objects, categories without annotations."""
    with_objects = set(table.image[~table.crowd].tolist())
    for position in images.position.values():
        if position in images.names and position not in with_objects:
            findings.image("image_without_objects", position, "no annotation, or only crowds")
    used = set(np.unique(table.category).tolist())
    for number, category in categories.items():
        if number not in used:
            findings.file("category_unused", f"{category.name!r} (id {number})")
    if training and not len(table.ids):
        findings.file("nothing_to_learn", "no annotations")
        return
    referenced = table.image >= 0
    if training and not referenced.any():
        findings.file("nothing_to_learn", f"{len(table.ids)} annotations, none of a listed image")
    elif training and not with_objects - {-1}:
        findings.file("nothing_to_learn", f"{len(table.ids)} usable annotations, all of crowds")
    elif len(objects := table.boxes[~table.crowd]) and not (objects[:, 2:] > 0).all(1).any():
        findings.file("boxes_without_size", f"no box has a size, as {objects[0].tolist()}")
