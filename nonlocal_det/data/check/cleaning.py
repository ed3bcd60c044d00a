"""Write a copy of an annotation file without what is wrong with it."""

import json
import os
from pathlib import Path
from typing import Any

from .check import Checked

CORRECTED = ("annotation_id_duplicate", "annotation_id_zero", "num_keypoints_wrong")


def clean_content(checked: Checked, uses: frozenset[str]) -> tuple[dict[str, Any], dict[str, int]]:
    """Leave out of a data set what a training with these parts of it must not see.

    Args:
        checked: a data set that could be read.
        uses: see `Kind.needs`.

    Returns:
        The new content, which shares records with the old one, and how many images and
        annotations were left out or corrected, by "images", "annotations" and "corrected".

    Raises:
        ValueError: what is wrong concerns the whole file, so that nothing can be left out.
    """
    content = checked.content
    images: set[int] = set()
    annotations: set[int] = set()
    corrected: set[int] = set()
    for finding in checked.findings.stopping(uses):
        kind = checked.findings.kind(finding)
        if content is None or not (finding.images or finding.annotations):
            if kind.severity == "crash":
                raise ValueError(
                    f"{finding.examples[0]} ({finding.kind}); there is nothing that could be "
                    f"left out: {kind.training}"
                )
        elif finding.kind in CORRECTED:
            corrected |= finding.annotations
        elif finding.kind != "splits_share_images":  # these are good images
            images |= finding.images
            annotations |= finding.annotations
    assert content is not None
    kept_images = [one for k, one in enumerate(content["images"]) if k not in images]
    gone = {content["images"][k].get("id") for k in images if _has_id(content["images"][k])}
    gone -= {one["id"] for one in kept_images}
    kept, fixed = _kept(content["annotations"], annotations, corrected, gone)
    number = {
        "images": len(images),
        "annotations": len(content["annotations"]) - len(kept),
        "corrected": fixed,
    }
    return {**content, "images": kept_images, "annotations": kept}, number


def _has_id(image: Any) -> bool:
    return isinstance(image, dict) and isinstance(image.get("id"), int | str | float)


def _kept(
    annotations: list[Any], dropped: set[int], corrected: set[int], gone: set[Any]
) -> tuple[list[Any], int]:
    """The annotations that stay, and how many of them were corrected: new id, right count."""
    kept, fixed, seen = [], 0, set()
    ids = (one.get("id") for one in annotations if isinstance(one, dict))
    free = max((number for number in ids if isinstance(number, int)), default=0) + 1
    for position, one in enumerate(annotations):
        if position in dropped or (gone and one["image_id"] in gone):
            continue
        if position in corrected:
            one = dict(one)
            if one["id"] in seen or one["id"] == 0:
                one["id"], free = free, free + 1
            if isinstance(one.get("keypoints"), list):
                one["num_keypoints"] = sum(v > 0 for v in one["keypoints"][2::3])
            fixed += 1
        seen.add(one["id"])
        kept.append(one)
    return kept, fixed


def write_clean(checked: Checked, path: Path, uses: frozenset[str]) -> dict[str, int]:
    """Write the copy, atomically.

    Args:
        checked: a data set.
        path: of the copy; its folder is made.
        uses: see `Kind.needs`.

    Returns:
        As `clean_content`.

    Raises:
        ValueError: nothing can be left out, or the copy would replace the file itself.
    """
    if path.resolve() == checked.json_file.resolve():
        raise ValueError(f"{path} is the file itself; give another name for the clean copy")
    content, number = clean_content(checked, uses)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with scratch.open("w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    return number
