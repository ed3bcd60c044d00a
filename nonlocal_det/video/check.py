"""Check video data sets before a training: labels, and whether the files can be read."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog
from tqdm import tqdm

from .decoding import MAX_SECONDS, iterate_frames, within_time
from .index import VideoError, VideoIndex, open_video, video_index

logger = logging.getLogger("nonlocal_det")

Record = dict[str, Any]

CHECKED_FILES = 200
"""Files whose headers are read before a training, evenly spread."""
_SHOWN = 3


@dataclass(frozen=True)
class Problem:
    """A file that cannot be read: its path, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        """Return one line of a report."""
        return f"{self.path}: {self.reason}"


def read_header(path: str, max_seconds: float = MAX_SECONDS) -> None:
    """Open a file and decode its first frame.

    Raises:
        VideoError: it cannot be read, takes longer than ``max_seconds``, or is shorter than its own
            table of contents says.
    """

    def read(_: Callable[[], None]) -> None:
        with open_video(path) as (container, stream):
            ends = [entry.pos + entry.size for entry in stream.index_entries]
            if ends and "mp4" in container.format.name and max(ends) > os.stat(path).st_size:
                raise VideoError(f"{path}: is cut: its table of contents names what is not there")
            frames = container.decode(stream)
            with closing(frames):
                if next(frames, None) is None:
                    raise VideoError(f"{path}: has no frames")

    within_time(path, read, max_seconds)


def read_whole(path: str) -> None:
    """Decode every frame of a file.

    Raises:
        VideoError: it cannot be read to its end.
    """
    read_header(path)
    for _ in iterate_frames(path):
        pass


def find_problems(
    paths: Sequence[str], read: Callable[[str], None], *, progress: bool = False
) -> Iterator[Problem]:
    """Read files in parallel, and yield those that cannot be read, in order.

    Args:
        paths: of the files.
        read: `read_header`, `read_whole`, or any function that raises `VideoError`.
        progress: show a bar with the time left.
    """

    def check(path: str) -> str:
        try:
            read(path)
        except VideoError as error:
            return str(error).removeprefix(f"{path}: ")
        return ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = tqdm(
            pool.map(check, paths), total=len(paths), unit=" videos", disable=not progress
        )
        for path, reason in zip(paths, reasons, strict=True):
            if reason:
                yield Problem(path, reason)


def check_video_data(cfg: CfgNode, name: str, training: bool, allow_bad: bool = False) -> None:
    """Check a video data set before a training: labels, which files are there, some headers.

    Args:
        cfg: a full config.
        name: of the data set.
        training: it is to be trained with; files that cannot be read are then skipped.
        allow_bad: an evaluation counts files that cannot be read as wrong.

    Raises:
        ValueError: a label is out of range; no file can be read; one of an evaluation cannot, and
            that is not allowed; every video is shorter than a clip, or square where three crops
            are to be tested.
    """
    records = DatasetCatalog.get(name)
    check_labels(records, name, cfg.MODEL.VIDEO.NUM_CLASSES)
    if cfg.MODEL.VIDEO.LOSS == "softmax" and not isinstance(records[0].get("label"), int):
        raise ValueError(
            f"data set {name!r}: videos have several labels, but MODEL.VIDEO.LOSS is softmax; set "
            "MODEL.VIDEO.LOSS sigmoid"
        )
    paths = [record["file_name"] for record in records]
    missing = [Problem(path, "no such file") for path in paths if not os.path.exists(path)]
    gone = {problem.path for problem in missing}
    present = [path for path in paths if path not in gone]
    sample = present[:: max(1, len(present) // CHECKED_FILES)]
    span = cfg.INPUT.VIDEO.FRAMES * cfg.INPUT.VIDEO.STRIDE
    indices: list[VideoIndex] = []

    def read(path: str) -> None:
        read_header(path, cfg.INPUT.VIDEO.MAX_SECONDS)
        indices.append(video_index(path))

    broken = list(find_problems(sample, read))
    _report(name, len(paths), missing, "are not there", training, allow_bad)
    _report(name, len(sample), broken, "cannot be read", training, allow_bad)
    if len(broken) == len(sample):
        raise ValueError(f"data set {name!r}: no video can be read, as {[*broken, *missing][0]}")
    _check_sizes(cfg, name, training, indices)
    short = sum(len(index) < span for index in indices)
    if short:
        logger.warning(
            f"data set {name!r}: {short} of {len(sample)} videos looked at are shorter than a clip "
            f"of {span} frames (INPUT.VIDEO.FRAMES x STRIDE) and repeat from their start"
        )


def _check_sizes(cfg: CfgNode, name: str, training: bool, indices: Sequence[VideoIndex]) -> None:
    """Refuse clips that no video looked at can give."""
    options = cfg.INPUT.VIDEO
    longest = max(map(len, indices))
    if longest < (options.FRAMES - 1) * options.STRIDE + 1:
        raise ValueError(
            f"data set {name!r}: a clip of INPUT.VIDEO.FRAMES={options.FRAMES} x STRIDE="
            f"{options.STRIDE} is longer than any of {len(indices)} videos, the longest has "
            f"{longest} frames; set INPUT.VIDEO.STRIDE {max(1, longest // options.FRAMES)}"
            + (f" and FRAMES {longest}" if longest < options.FRAMES else "")
        )
    square = all(index.size[0] == index.size[1] for index in indices)
    if options.TEST_CROPS == 3 and square and not training:
        raise ValueError(
            f"data set {name!r}: INPUT.VIDEO.TEST_CROPS=3 of square frames are one crop three "
            "times; set INPUT.VIDEO.TEST_CROPS 1"
        )


def check_labels(records: Sequence[Record], name: str, num_classes: int) -> None:
    """Check that labels are classes of the model.

    Raises:
        ValueError: one is not; names file and class.
    """
    for record in records:
        labels = record.get("label", [action[0] for action in record.get("actions", ())])
        for label in labels if isinstance(labels, list) else [labels]:
            if not 0 <= label < num_classes:
                raise ValueError(
                    f"data set {name!r}: {record['file_name']} has class {label}, but "
                    f"MODEL.VIDEO.NUM_CLASSES is {num_classes}; classes count from 0"
                )


def list_warnings(records: Sequence[Record], classes: Sequence[str]) -> list[str]:
    """Find what is suspicious in a list: files that stand in it twice, classes without a video."""
    times = Counter(record["file_name"] for record in records)
    twice = [path for path, count in times.items() if count > 1]
    used = {
        label
        for record in records
        for label in (record["label"] if isinstance(record["label"], list) else [record["label"]])
    }
    unused = [name for number, name in enumerate(classes) if number not in used]
    parts = [(twice, "files stand in the list more than once"), (unused, "classes have no video")]
    return [f"{len(items)} {what}, as {items[0]}" for items, what in parts if items]


def _report(
    name: str, total: int, problems: Sequence[Problem], what: str, training: bool, allow_bad: bool
) -> None:
    if not problems:
        return
    shown = "; ".join(map(str, problems[:_SHOWN]))
    text = f"data set {name!r}: {len(problems)} of {total} videos {what}, as {shown}"
    if training:
        logger.warning(f"{text}; they are skipped, at most --max-bad-images in each process")
    elif allow_bad:
        logger.warning(f"{text}; --allow-bad-data: they count as wrong")
    else:
        raise ValueError(
            f"{text}; repair them or take them out of the list, or count them as wrong with "
            "--allow-bad-data"
        )
