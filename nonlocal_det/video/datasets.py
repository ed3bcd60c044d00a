"""Video data sets: lists and class folders of one's own, Kinetics and Charades as published.

A record has ``file_name``, ``video_id`` and ``label`` (a class, or a list of classes), or for
Charades ``actions`` (class, start and end in seconds).
"""

import csv
import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

from .check import check_video_data
from .lists import find_classes, find_videos, read_rows
from .mapper import VideoMapper, without_augmentation

logger = logging.getLogger("nonlocal_det")

Record = dict[str, Any]
Entry = Sequence[str]
"""Name, list and folder of a data set."""

KINETICS = ("kinetics400", "kinetics600", "kinetics700")


def register_video_data(entries: Sequence[Entry], num_classes: int = 0) -> None:
    """Register data sets of one's own; those of one call share their classes.

    Args:
        entries: for each its name, its list and the folder of its files; see `lists.read_rows`.
            A file ``classes.txt`` in the folder, above it or beside the list names the classes, one
            a line; without it they are all names, or all numbers from 0.
        num_classes: where labels are numbers without names, at least so many classes.

    Raises:
        FileNotFoundError: there is no such list or folder.
        ValueError: a line cannot be read, there is no video, or a label is not in the class list.
    """
    classes, records = read_user_data(entries, num_classes)
    for name, part in records.items():
        several = any(isinstance(record["label"], list) for record in part)
        register_records(name, partial(list, part), classes, several_labels=several)


def read_user_data(
    entries: Sequence[Entry], num_classes: int = 0
) -> tuple[list[str], dict[str, list[Record]]]:
    """Read the classes of a user's data sets, and the records of each; see `register_video_data`.

    Labels are lists in all of them if a video of any has not exactly one.
    """
    rows = {name: read_rows(listing, Path(folder)) for name, listing, folder in entries}
    sources = [(listing, Path(folder)) for _, listing, folder in entries]
    classes = find_classes(sources, [row for part in rows.values() for row in part])
    if classes == [str(number) for number in range(len(classes))]:
        classes = [str(number) for number in range(max(len(classes), num_classes))]
    numbers = {name: number for number, name in enumerate(classes)}
    several = any(len(row.labels) != 1 for part in rows.values() for row in part)
    records: dict[str, list[Record]] = {}
    for name, part in rows.items():
        records[name] = []
        for number, row in enumerate(part):
            labels = sorted({numbers[t] if t in numbers else int(t) for t in row.labels})
            records[name].append(_record(row.path, labels if several else labels[0], number))
    return classes, records


def add_video_data(cfg: CfgNode, entries: Sequence[Entry], given: Sequence[str]) -> None:
    """Register a user's data sets, and let a config follow them.

    Args:
        cfg: changed in place: the number of classes, and the loss for several labels a video.
        entries: see `register_video_data`; none: nothing is done.
        given: the keys that the user's options set.

    Raises:
        FileNotFoundError: as `register_video_data`.
        ValueError: as `register_video_data`; the config is of no video model, names none of the
            data sets, or contradicts them.
    """
    if not entries:
        return
    names = [entry[0] for entry in entries]
    if "VIDEO" not in cfg.MODEL:
        raise ValueError(
            f"--video-data {names[0]}: the config is of no video model; give one of configs/video, "
            "as --config-file configs/video/nl_i3d_R50_8x8.yaml"
        )
    if not set(names) & {*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST}:
        raise ValueError(
            f"--video-data registered {', '.join(names)}, but DATASETS.TRAIN={cfg.DATASETS.TRAIN} "
            f"and DATASETS.TEST={cfg.DATASETS.TEST} name none of them; add DATASETS.TRAIN "
            f"\"('{names[0]}',)\" and DATASETS.TEST in the same way"
        )
    video = cfg.MODEL.VIDEO
    key = "MODEL.VIDEO.NUM_CLASSES"
    register_video_data(entries, video.NUM_CLASSES if key in given else 0)
    metadata = MetadataCatalog.get(names[0])
    count, several = len(metadata.thing_classes), metadata.several_labels
    if key in given and video.NUM_CLASSES != count:
        raise ValueError(
            f"{key}={video.NUM_CLASSES}, but the data set {names[0]!r} has {count} classes; leave "
            "the option out, or name all classes in a file classes.txt in its folder"
        )
    if several and "MODEL.VIDEO.LOSS" in given and video.LOSS == "softmax":
        raise ValueError(
            f"MODEL.VIDEO.LOSS=softmax, but videos of {names[0]!r} have several labels; leave the "
            "option out, or give each video one"
        )
    video.NUM_CLASSES = count
    if several:
        video.LOSS = "sigmoid"


def _record(path: Path, label: Any, number: int) -> Record:
    return {"file_name": str(path), "video_id": f"{number:07d}/{path.stem}", "label": label}


def register_records(
    name: str, load: Callable[[], list[Record]], classes: Sequence[str], **metadata: Any
) -> None:
    """Register a video data set, anew if there is one of the name.

    Args:
        name: of the data set.
        load: reads its records.
        classes: their names; empty: known when the records are read.
        metadata: more of it.
    """
    DatasetCatalog.pop(name, None)
    MetadataCatalog.pop(name, None)
    DatasetCatalog.register(name, load)
    if classes:
        metadata["thing_classes"] = list(classes)
    MetadataCatalog.get(name).set(
        evaluator_type="video",
        build_mapper=VideoMapper,
        without_augmentation=without_augmentation,
        check_data=check_video_data,
        data_hash=cache(partial(_hash_records, name)),
        **metadata,
    )


def _hash_records(name: str) -> str:
    """Hash a data set's class names, and each video's id and labels; "-" where it is not here."""
    try:
        records = DatasetCatalog.get(name)
    except (OSError, ValueError):
        return "-"
    rows = [[record["video_id"], record.get("label", record.get("actions"))] for record in records]
    content = [MetadataCatalog.get(name).thing_classes, rows]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _set_classes(name: str, classes: Sequence[str]) -> None:
    """Name the classes of a data set whose list is only now read."""
    known = MetadataCatalog.get(name).as_dict()
    MetadataCatalog.pop(name)
    MetadataCatalog.get(name).set(**{**known, "thing_classes": list(classes)})


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
            load = partial(load_kinetics, folder, split, data)
            register_records(data, load, (), expected_files=[folder / split])
    for split in ("train", "test"):
        data, folder = f"charades_v1_{split}", base / "charades"
        register_records(
            data,
            partial(load_charades, folder, split, data),
            (),
            unlabelled_last=True,
            expected_files=[folder / f"Charades_v1_{split}.csv", folder / "Charades_v1"],
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
        rows = read_rows("-", files)
        classes = sorted({row.labels[0] for row in rows})
        numbers = {text: number for number, text in enumerate(classes)}
        _set_classes(name, classes)
        return [_record(row.path, numbers[row.labels[0]], k) for k, row in enumerate(rows)]
    with listing.open(newline="") as file:
        entries = list(csv.DictReader(file))
    classes = sorted({entry["label"] for entry in entries})
    numbers = {text: number for number, text in enumerate(classes)}
    _set_classes(name, classes)
    there = {path.stem: path for path in find_videos(files)} if files.is_dir() else {}
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
