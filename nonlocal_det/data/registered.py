"""Check registered data sets before a training; leave out what is bad if that is allowed."""

import logging
from collections.abc import Sequence
from pathlib import Path

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog

from .check import Checked, check_dataset, check_splits, report_text, write_clean
from .coco_data import completes_keypoints

logger = logging.getLogger(__name__)

COCO_EVALUATORS = (None, "coco", "coco_panoptic_seg")


def required_fields(cfg: CfgNode, name: str, training: bool) -> frozenset[str]:
    """Return what a config uses a data set for, as `IssueType.needs` names it."""
    fields = {
        "evaluation": name in cfg.DATASETS.TEST,
        "masks": cfg.MODEL.MASK_ON,
        "keypoints": cfg.MODEL.KEYPOINT_ON,
        "raw keypoints": training and cfg.MODEL.KEYPOINT_ON and not completes_keypoints(name),
    }
    return frozenset(field for field, used in fields.items() if used)


def check_registered(
    cfg: CfgNode, train: Sequence[str], test: Sequence[str], clean_folder: Path | None
) -> dict[str, Path]:
    """Check data sets by name: the whole json and some images.

    A data set whose metadata has ``check_data``, a function of config, name, whether it is trained
    with and whether bad data is allowed, is checked by it; one without a COCO json is not checked.

    Args:
        cfg: a full config; it says which parts of the data are used.
        train: names of the data sets to train with.
        test: names of those to evaluate on.
        clean_folder: where copies without the bad rows go; None: bad data is an error.

    Returns:
        The copies that must replace the annotation files, by name.

    Raises:
        ValueError: a training would stop, or learn or measure something wrong; or bad data cannot
            be left out.
    """
    checked = {}
    for name in dict.fromkeys((*train, *test)):
        result = _check(cfg, name, name in train, clean_folder is not None)
        if result is not None:
            checked[name] = result
    for test_name in test:
        for train_name in train:
            if test_name != train_name and {test_name, train_name} <= set(checked):
                check_splits(checked[train_name], checked[test_name])
    copies = {
        name: raise_or_warn(name, result, required_fields(cfg, name, name in train), clean_folder)
        for name, result in checked.items()
    }
    return {name: path for name, path in copies.items() if path is not None}


def _check(cfg: CfgNode, name: str, training: bool, allow_bad: bool) -> Checked | None:
    metadata = MetadataCatalog.get(name)
    if metadata.get("check_data", None) is not None:
        metadata.check_data(cfg, name, training, allow_bad)
        return None
    json_file = metadata.get("json_file", None)
    evaluator = metadata.get("evaluator_type", None)
    if json_file is None or evaluator not in COCO_EVALUATORS:
        logger.info(f"data set {name!r}: not checked, it has no COCO json")
        return None
    root = metadata.get("image_root", None)
    checked = check_dataset(Path(json_file), root and Path(root), training=training)
    if evaluator is None and "other_format" in checked.findings.by_kind:
        logger.info(f"data set {name!r}: not checked, its json is not COCO's")
        return None
    return checked


def raise_or_warn(
    name: str, checked: Checked, uses: frozenset[str], clean_folder: Path | None
) -> Path | None:
    """Refuse bad data, or write a copy without it; log what was found.

    Returns:
        The copy in `clean_folder`; None where none is needed.

    Raises:
        ValueError: it is bad, and there is no `clean_folder` or it cannot be left out.
    """
    stopping = checked.findings.stopping(uses)
    if not stopping:
        counts = [f"{kind} {finding.count}" for kind, finding in checked.findings.by_kind.items()]
        of_note = ", ".join(counts) or "nothing"
        logger.info(f"data set {name!r}: no bad data; of note: {of_note}")
        return None
    logger.warning(report_text(checked, uses))
    worst = ", ".join(f"{finding.kind} {finding.count}" for finding in stopping)
    if clean_folder is None:
        images = "" if checked.image_root is None else f" {checked.image_root}"
        raise ValueError(
            f"data set {name!r} is bad ({worst}), as {stopping[0].examples[0]}; repair it (`python "
            f"-m nonlocal_det check {checked.json_file}{images}` lists all), or leave out what is "
            "bad with --allow-bad-data"
        )
    path = clean_folder / f"{name}.json"
    numbers = write_clean(checked, path, uses)
    if not any(numbers.values()):
        path.unlink()
        logger.warning(f"--allow-bad-data: data set {name!r} is used as it is, with {worst}")
        return None
    logger.warning(
        f"--allow-bad-data: data set {name!r} without {numbers['images']} images and "
        f"{numbers['annotations']} annotations, {numbers['corrected']} corrected: {path}"
    )
    return path


def clean_unregistered(cfg: CfgNode, entry: Sequence[str], clean_folder: Path) -> list[str]:
    """Check data that is not yet registered, and leave out what is bad.

    Returns:
        The entry (name, json, images), with the copy if there is one.

    Raises:
        ValueError: bad data cannot be left out.
    """
    name, json_file, root = entry
    training = name in cfg.DATASETS.TRAIN
    # keypoints are completed when it is registered
    uses = required_fields(cfg, name, training) - {"raw keypoints"}
    path, folder = Path(json_file).expanduser(), Path(root).expanduser()
    checked = check_dataset(path, folder, training=training)
    return [name, str(raise_or_warn(name, checked, uses, clean_folder) or json_file), root]
