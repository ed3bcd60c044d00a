"""Check registered data sets before a training, and leave out what is bad if that is allowed."""

import logging
from collections.abc import Sequence
from pathlib import Path

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog

from .check import Checked, check_dataset, check_splits, report_text, write_clean
from .coco_data import completes_keypoints

logger = logging.getLogger(__name__)

COCO_LIKE = ("coco", "coco_panoptic_seg")


def uses_of(cfg: CfgNode, name: str, training: bool) -> frozenset[str]:
    """What a config uses a data set for, as `Kind.needs` names it.

    Args:
        cfg: a full config.
        name: of the data set.
        training: it is trained with, not only evaluated on.
    """
    parts = {
        "evaluation": name in cfg.DATASETS.TEST,
        "masks": cfg.MODEL.MASK_ON,
        "polygons": training and cfg.MODEL.MASK_ON and cfg.INPUT.MASK_FORMAT == "polygon",
        "keypoints": cfg.MODEL.KEYPOINT_ON,
        "raw keypoints": training and cfg.MODEL.KEYPOINT_ON and not completes_keypoints(name),
    }
    return frozenset(part for part, used in parts.items() if used)


def check_registered(
    cfg: CfgNode, train: Sequence[str], test: Sequence[str], clean_folder: Path | None
) -> dict[str, Path]:
    """Check data sets by name: the json, or what is remembered of it, and some images.

    Args:
        cfg: a full config; it says which parts of the data are used.
        train: names of the data sets to train with.
        test: names of those to evaluate on.
        clean_folder: where clean copies go of the annotation files that are bad; None: bad data
            is an error.

    Returns:
        The clean copies that must replace the annotation files, by name.

    Raises:
        ValueError: a training would stop, or learn or measure something wrong; or bad data cannot
            be left out.
    """
    checked: dict[str, Checked] = {}
    for name in dict.fromkeys((*train, *test)):
        one = _check(name, name in train)
        if one is not None:
            checked[name] = one
    for test_name in test:
        for train_name in train:
            if test_name != train_name and {test_name, train_name} <= set(checked):
                check_splits(checked[train_name], checked[test_name])
    clean: dict[str, Path] = {}
    for name, one in checked.items():
        uses = uses_of(cfg, name, name in train)
        path = judge(name, one, uses, name in train, clean_folder)
        if path is not None:
            clean[name] = path
    return clean


def _check(name: str, training: bool) -> Checked | None:
    metadata = MetadataCatalog.get(name)
    json_file = metadata.get("json_file", None)
    kind = metadata.get("evaluator_type", None)
    if json_file is None or kind not in (None, *COCO_LIKE):
        logger.info(f"data set {name!r}: not checked, it has no COCO json")
        return None
    root = metadata.get("image_root", None)
    checked = check_dataset(
        Path(json_file), None if root is None else Path(root), training=training, remembering=True
    )
    if (
        kind is None and "other_format" in checked.findings.by_kind
    ):  # a function of its own reads it
        logger.info(f"data set {name!r}: not checked, its json is not COCO's")
        return None
    return checked


def judge(
    name: str, checked: Checked, uses: frozenset[str], training: bool, clean_folder: Path | None
) -> Path | None:
    """Say what was found; refuse what is bad, or write a copy without it.

    Args:
        name: of the data set.
        checked: its check.
        uses: see `Kind.needs`.
        training: it is trained with.
        clean_folder: see `check_registered`.

    Returns:
        The clean copy; None where none is needed.

    Raises:
        ValueError: it is bad, and there is no `clean_folder` or it cannot be left out.
    """
    stopping = checked.findings.stopping(uses)
    counts = ", ".join(f"{one.kind} {one.count}" for one in checked.findings.by_kind.values())
    if not stopping:
        logger.info(f"data set {name!r}: no bad data; of note: {counts or 'nothing'}")
        return None
    logger.warning(report_text(checked, uses))
    worst = ", ".join(f"{one.kind} {one.count}" for one in stopping)
    if clean_folder is None:
        images = "" if checked.image_root is None else f" {checked.image_root}"
        raise ValueError(
            f"data set {name!r} is bad ({worst}), as {stopping[0].examples[0]}; repair it (`python "
            f"tools/check_dataset.py {checked.json_file}{images}` lists all), or leave out what is "
            "bad with --allow-bad-data"
        )
    return _clean(name, checked, uses, training, clean_folder / f"{name}.json")


def _clean(
    name: str, checked: Checked, uses: frozenset[str], training: bool, path: Path
) -> Path | None:
    if checked.remembered:  # a memory has no positions
        checked = _again(checked, training)
    number = write_clean(checked, path, uses)
    if not any(number.values()):
        path.unlink()
        worst = ", ".join(one.kind for one in checked.findings.stopping(uses))
        logger.warning(f"--allow-bad-data: data set {name!r} is used as it is, with {worst}")
        return None
    again = check_dataset(path, None, training=training)
    for one in again.findings.stopping(uses):
        if again.findings.kind(one).severity == "crash":
            raise ValueError(f"data set {name!r} is of no use without that: {one.examples[0]}")
    logger.warning(
        f"--allow-bad-data: data set {name!r} without {number['images']} images and "
        f"{number['annotations']} annotations, {number['corrected']} corrected: {path}"
    )
    return path


def _again(checked: Checked, training: bool) -> Checked:
    """The same check, of the json itself; what the comparison with others has found is kept."""
    again = check_dataset(checked.json_file, checked.image_root, training=training)
    for kind, finding in checked.findings.by_kind.items():
        again.findings.by_kind.setdefault(kind, finding)
    return again


def clean_own_data(cfg: CfgNode, entry: Sequence[str], clean_folder: Path) -> list[str]:
    """Check data that is not yet registered, and if it is bad, write a clean copy.

    Args:
        cfg: says which parts of the data are used.
        entry: name, json and images.
        clean_folder: see `check_registered`.

    Returns:
        The entry, with the copy if there is one.

    Raises:
        ValueError: bad data cannot be left out.
    """
    name, json_file, root = entry
    training = name in cfg.DATASETS.TRAIN
    # masks as RLE set INPUT.MASK_FORMAT, and keypoints are completed, when it is registered
    uses = uses_of(cfg, name, training) - {"polygons", "raw keypoints"}
    path, folder = Path(json_file).expanduser(), Path(root).expanduser()
    checked = check_dataset(path, folder, training=training, remembering=True)
    clean = judge(name, checked, uses, training, clean_folder)
    return [name, str(clean or json_file), root]
