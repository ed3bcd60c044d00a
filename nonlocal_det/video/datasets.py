"""Video data sets: lists and class folders of one's own, Kinetics and Charades as published.

A record has ``file_name``, ``video_id`` and ``label`` (a class, or a list of classes), or for
Charades ``actions`` (class, start and end in seconds).
"""

import csv
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

from .decoding import VideoError, video_index
from .mapper import VideoMapper

logger = logging.getLogger("nonlocal_det")

Record = dict[str, Any]

SUFFIXES = frozenset(".mp4 .mkv .webm .avi .mov .m4v .mpg .mpeg .flv .3gp .wmv".split())
"""Endings of the files that a class folder is searched for."""

CHECKED_FILES = 200
"""Files whose headers are read before a training."""

KINETICS = ("kinetics400", "kinetics600", "kinetics700")


def register_video_data(entries: Sequence[tuple[str, str, str]]) -> None:
    """Register data sets of one's own; those of one call share their classes.

    Args:
        entries: for each its name, its list and the folder of its files. The list is ``-`` where
            the folder has a folder for each class; else a text file with a line for each video:
            ``path,label`` or ``path label``, and for several labels ``path,label,label``. Labels
            are all names, or all numbers from 0.

    Raises:
        FileNotFoundError: there is no such list or folder.
        ValueError: the list has a line that cannot be read, or no video.
    """
    rows = {name: _read_rows(listing, Path(folder)) for name, listing, folder in entries}
    classes = _class_names([labels for part in rows.values() for _, labels in part])
    numbers = {text: number for number, text in enumerate(classes)}
    several = any(len(labels) != 1 for part in rows.values() for _, labels in part)
    for name, part in rows.items():
        records: list[Record] = []
        for path, labels in part:
            found = sorted(numbers[label] for label in labels)
            records.append(_record(path, found if several else found[0], len(records)))
        _register(name, partial(list, records), classes)


def check_video_data(cfg: CfgNode, name: str, training: bool) -> None:
    """Check a video data set before a training: labels, and the headers of some files.

    Args:
        cfg: a full config.
        name: of the data set.
        training: it is to be trained with.

    Raises:
        ValueError: a label is out of range, or no file of the sample can be read.
    """
    records = DatasetCatalog.get(name)
    classes = cfg.MODEL.VIDEO.NUM_CLASSES
    for record in records:
        label = record.get("label", [action[0] for action in record.get("actions", ())])
        worst = max(label if isinstance(label, list) else [label], default=0)
        if not 0 <= worst < classes:
            raise ValueError(
                f"data set {name!r}: {record['file_name']} has class {worst}, but "
                f"MODEL.VIDEO.NUM_CLASSES is {classes}; classes count from 0"
            )
    span = cfg.INPUT.VIDEO.FRAMES * cfg.INPUT.VIDEO.STRIDE
    sample = records[:: max(1, len(records) // CHECKED_FILES)]
    problems, short = [], 0
    for record in sample:
        try:
            short += len(video_index(record["file_name"])) < span
        except VideoError as error:
            problems.append(str(error))
    if problems and len(problems) == len(sample):
        raise ValueError(f"data set {name!r}: no video can be read, as {problems[0]}")
    for problem in problems:
        logger.warning(f"data set {name!r}: {problem}")
    if short:
        logger.warning(
            f"data set {name!r}: {short} of {len(sample)} videos looked at are shorter than a clip "
            f"of {span} frames (INPUT.VIDEO.FRAMES x STRIDE) and repeat from their start"
        )


def _record(path: Path, label: Any, number: int) -> Record:
    return {"file_name": str(path), "video_id": f"{number:07d}/{path.stem}", "label": label}


def _register(
    name: str, load: Callable[[], list[Record]], classes: Sequence[str], **metadata: Any
) -> None:
    DatasetCatalog.pop(name, None)
    MetadataCatalog.pop(name, None)
    DatasetCatalog.register(name, load)
    MetadataCatalog.get(name).set(
        evaluator_type="video",
        build_mapper=VideoMapper,
        check_data=check_video_data,
        thing_classes=list(classes),
        **metadata,
    )


def _set_classes(name: str, classes: Sequence[str]) -> None:
    """Name the classes of a data set whose list is only now read."""
    known = MetadataCatalog.get(name).as_dict()
    MetadataCatalog.pop(name)
    MetadataCatalog.get(name).set(**{**known, "thing_classes": list(classes)})


def _class_names(labels: Iterable[Sequence[str]]) -> list[str]:
    """Return the classes in order: sorted names, or every number up to the largest."""
    texts = {text for row in labels for text in row}
    if texts and all(text.isdigit() for text in texts):
        return [str(number) for number in range(max(map(int, texts)) + 1)]
    return sorted(texts)


def _read_rows(listing: str, folder: Path) -> list[tuple[Path, list[str]]]:
    if not folder.is_dir():
        raise FileNotFoundError(f"--video-data: {folder}: no such folder")
    if listing == "-":
        rows = [(path, [path.parent.name]) for path in _videos(folder) if path.parent != folder]
        if not rows:
            raise ValueError(
                f"--video-data: {folder} has no videos in class folders; expected "
                f"{folder.name}/CLASS/FILE with one of {' '.join(sorted(SUFFIXES))}"
            )
        return rows
    path = Path(listing)
    if not path.is_file():
        raise FileNotFoundError(f"--video-data: {path}: no such list")
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    rows = [
        _read_line(line, f"{path}:{number}", folder)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not rows:
        raise ValueError(f"--video-data: {path} has no line")
    return rows


def _read_line(line: str, where: str, folder: Path) -> tuple[Path, list[str]]:
    """Split ``path label ...``: at commas if there are any, else at blanks from the right."""
    if "," in line:
        name, *labels = (part.strip() for part in line.split(","))
    else:
        parts = line.split()
        count = next((n for n, p in enumerate(reversed(parts)) if not p.isdigit()), len(parts))
        count = max(count, 1) if len(parts) > 1 else 0  # one name, or several numbers
        cut = len(parts) - count
        name, labels = line.rsplit(None, count)[0] if count else line, parts[cut:]
    if not labels or not all(labels):
        raise ValueError(f"{where}: {line!r} has no label; expected 'path,label' or 'path label'")
    return folder / name, labels


def _videos(folder: Path) -> list[Path]:
    found = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if path.suffix.lower() in SUFFIXES)


def register_kinetics_and_charades(root: str | os.PathLike[str] | None = None) -> None:
    """Register ``kinetics{400,600,700}_{train,val}`` and ``charades_v1_{train,test}``.

    Nothing is read before a loader asks for it. Expected are, under ``root``::

        kinetics400/{train,val}.csv              label,youtube_id,time_start,time_end,split
        kinetics400/{train,val}/**/ID_000011_000021.mp4 (or .webm, .mkv, in class folders or not)
        charades/Charades_v1_{train,test}.csv, Charades_v1_classes.txt, Charades_v1/ID.mp4

    Without a csv, Kinetics' class folders are the classes.

    Args:
        root: by default ``$DETECTRON2_DATASETS``, else "datasets".
    """
    base = Path(root if root is not None else os.getenv("DETECTRON2_DATASETS", "datasets"))
    for name in KINETICS:
        for split in ("train", "val"):
            folder, data = base / name, f"{name}_{split}"
            _register(data, partial(load_kinetics, folder, split, data), ())
    for split in ("train", "test"):
        data, folder = f"charades_v1_{split}", base / "charades"
        _register(
            data,
            partial(load_charades, folder, split, data),
            (),
            unlabelled_last=True,
        )


def load_kinetics(folder: Path, split: str, name: str) -> list[Record]:
    """Read Kinetics' official list of a split, or its class folders where there is none.

    Videos that are not there are counted and left out: some are no longer on the web.

    Raises:
        FileNotFoundError: neither the list nor the folder of the split exists.
        ValueError: no video of the list is there.
    """
    files, listing = folder / split, folder / f"{split}.csv"
    if not listing.is_file():
        rows = _read_rows("-", files)
        classes = _class_names(labels for _, labels in rows)
        numbers = {text: number for number, text in enumerate(classes)}
        _set_classes(name, classes)
        return [_record(path, numbers[labels[0]], k) for k, (path, labels) in enumerate(rows)]
    with listing.open(newline="") as file:
        entries = list(csv.DictReader(file))
    classes = sorted({entry["label"] for entry in entries})
    numbers = {text: number for number, text in enumerate(classes)}
    _set_classes(name, classes)
    there = {path.stem: path for path in _videos(files)} if files.is_dir() else {}
    records: list[Record] = []
    for entry in entries:
        start, end = (int(float(entry[key])) for key in ("time_start", "time_end"))
        stem = f"{entry['youtube_id']}_{start:06d}_{end:06d}"
        path = there.get(stem) or there.get(entry["youtube_id"])
        if path:
            records.append(_record(path, numbers[entry["label"]], len(records)))
    _count_missing(name, len(entries), len(records), files)
    return records


def load_charades(folder: Path, split: str, name: str) -> list[Record]:
    """Read Charades' official list of a split: several actions a video, each with its times.

    Raises:
        FileNotFoundError: the list does not exist.
        ValueError: no video of the list is there.
    """
    listing = folder / f"Charades_v1_{split}.csv"
    if not listing.is_file():
        raise FileNotFoundError(f"{listing}: no such file; expected Charades' official lists")
    names = folder / "Charades_v1_classes.txt"
    classes = [f"c{number:03d}" for number in range(157)]
    if names.is_file():
        classes = [line.split(" ", 1)[1] for line in names.read_text().splitlines() if line]
    _set_classes(name, classes)
    with listing.open(newline="") as file:
        entries = list(csv.DictReader(file))
    records: list[Record] = []
    for entry in entries:
        path = folder / "Charades_v1" / f"{entry['id']}.mp4"
        if not path.is_file():
            continue
        triples = [item.split() for item in entry["actions"].split(";") if item]
        actions = [(int(code[1:]), float(start), float(end)) for code, start, end in triples]
        records.append({"file_name": str(path), "video_id": entry["id"], "actions": actions})
    _count_missing(name, len(entries), len(records), folder / "Charades_v1")
    return records


def _count_missing(name: str, listed: int, there: int, folder: Path) -> None:
    if not there:
        raise ValueError(f"{name}: none of its {listed} videos is in {folder}")
    if there < listed:
        logger.warning(f"{name}: {listed - there} of {listed} videos are not in {folder}; left out")
