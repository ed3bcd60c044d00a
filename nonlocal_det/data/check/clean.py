"""Write a copy of an annotation file without what is wrong with it."""

import json
from pathlib import Path
from typing import Any

from nonlocal_det.files import write_atomically

from .check import Checked

CORRECTED = ("annotation_id_duplicate", "annotation_id_zero", "num_keypoints_wrong")


def write_clean(checked: Checked, path: Path, uses: frozenset[str]) -> dict[str, int]:
    """Write a copy without what a training with these parts of the data must not see.

    Args:
        checked: a data set.
        path: of the copy, written atomically; its folder is made.
        uses: see `IssueType.needs`.

    Returns:
        How many images and annotations were left out, and annotations corrected, by "images",
        "annotations" and "corrected".

    Raises:
        ValueError: what is wrong concerns the whole file, so that nothing can be left out, or
            `path` is the file itself.
    """
    if path.resolve() == checked.json_file.resolve():
        raise ValueError(f"{path} is the file itself; give another name for the clean copy")
    content, numbers = _clean_content(checked, uses)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(json.dumps(content).encode()))
    return numbers


def _clean_content(checked: Checked, uses: frozenset[str]) -> tuple[dict[str, Any], dict[str, int]]:
    content = checked.content
    images: set[int] = set()
    annotations: set[int] = set()
    corrected: set[int] = set()
    for finding in checked.findings.stopping(uses):
        if content is None or not (finding.images or finding.annotations):
            if finding.issue.severity == "crash":
                raise ValueError(
                    f"{finding.examples[0]} ({finding.kind}); there is nothing that could be "
                    f"left out: {finding.issue.training}"
                )
        elif finding.kind in CORRECTED:
            corrected |= finding.annotations
        elif finding.kind != "splits_share_images":  # these are good images
            images |= finding.images
            annotations |= finding.annotations
    assert content is not None
    kept_images = [image for k, image in enumerate(content["images"]) if k not in images]
    gone = {content["images"][k].get("id") for k in images if _has_id(content["images"][k])}
    gone -= {image["id"] for image in kept_images}
    kept = [
        (k, annotation)
        for k, annotation in enumerate(content["annotations"])
        if k not in annotations and not (gone and annotation["image_id"] in gone)
    ]
    numbers = {
        "images": len(images),
        "annotations": len(content["annotations"]) - len(kept),
        "corrected": sum(k in corrected for k, _ in kept),
    }
    rows = _corrected(kept, corrected)
    return {**content, "images": kept_images, "annotations": rows}, numbers


def _has_id(image: Any) -> bool:
    return isinstance(image, dict) and isinstance(image.get("id"), int | str | float)


def _corrected(kept: list[tuple[int, Any]], wrong: set[int]) -> list[Any]:
    """Give the annotations at these positions new ids where needed, and right counts."""
    rows, used = [], set()
    free = max((annotation["id"] for _, annotation in kept), default=0) + 1
    for position, annotation in kept:
        if position in wrong:
            annotation = dict(annotation)
            if annotation["id"] in used or annotation["id"] == 0:
                annotation["id"], free = free, free + 1
            if isinstance(annotation.get("keypoints"), list):
                annotation["num_keypoints"] = sum(v > 0 for v in annotation["keypoints"][2::3])
        used.add(annotation["id"])
        rows.append(annotation)
    return rows
