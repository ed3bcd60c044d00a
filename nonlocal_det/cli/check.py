"""What ``tools/check_dataset.py`` does, apart from its command line."""

import json
from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.data.check.check import check_dataset
from nonlocal_det.data.check.cleaning import write_clean
from nonlocal_det.data.check.image_files import Images
from nonlocal_det.data.check.report import report_json, report_text
from nonlocal_det.data.check.splits import check_splits

PARTS = ("masks", "keypoints", "evaluation")
USABLE, BAD = 0, 3


def check_files(
    json_file: Path,
    image_root: Path | None,
    *,
    images: Images = "sample",
    train: Sequence[Path] = (),
    without: Sequence[str] = (),
    examples: int = 3,
    json_out: Path | None = None,
    clean: Path | None = None,
    progress: bool = False,
) -> tuple[str, int]:
    """Check a data set, and perhaps write what was found and a copy without it.

    Args:
        json_file: the annotation file.
        image_root: the folder of the images; None: they are not looked for.
        images: "none", "sample" or "all": whose files are read.
        train: json and images of the training data that it must not share images with.
        without: what the data is not used for, of `PARTS`.
        examples: shown of each kind.
        json_out: gets the report for machines.
        clean: gets a copy of the annotation file, without what would stop a training.
        progress: show a bar while images are read.

    Returns:
        The report, and the exit status: 0, or 3 if a training with this data would not start.

    Raises:
        FileNotFoundError: there is no such folder of images.
        ValueError: a clean copy cannot be made.
    """
    if image_root is not None and not image_root.is_dir():
        raise FileNotFoundError(
            f"image folder {image_root} does not exist; give the folder to which each "
            f'"file_name" in {json_file} is relative, or none to check the json alone'
        )
    uses = frozenset(PARTS) - set(without)
    checked = check_dataset(
        json_file, image_root, images=images, training=not train, progress=progress
    )
    if train:
        theirs = check_dataset(train[0], train[1], images="none")
        check_splits(theirs, checked)
    text = report_text(checked, uses, examples)
    if json_out is not None:
        json_out.write_text(json.dumps(report_json(checked, uses), indent=1))
    if clean is not None:
        number = write_clean(checked, clean, uses)
        text += (
            f"\n{clean}: without {number['images']} images and {number['annotations']} "
            f"annotations, {number['corrected']} corrected"
        )
    return text, BAD if checked.findings.stopping(uses) else USABLE
