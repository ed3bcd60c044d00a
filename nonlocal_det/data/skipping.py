"""A training goes on when an image cannot be read: another takes its place, and it is counted."""

import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import (
    DatasetMapper,
    build_detection_train_loader,
    get_detection_dataset_dicts,
)
from detectron2.data.detection_utils import SizeMismatchError

from .validate import READ_ERRORS

logger = logging.getLogger(__name__)

SKIPPED = "skipped_images"
"""The entry of a sample that names the images in whose place it stands."""
MAX_BAD_IMAGES = 10
NUM_OTHERS = 64
ATTEMPTS = 8

Sample = dict[str, Any]


class SkippingMapper:
    """Detectron2's mapper, which takes another image where one cannot be read.

    Which one depends on the unreadable image's name alone, so a resumed run takes the same.
    (`MapDataset` could do it, but it fails on Python 3.11 and draws at random.)

    Args:
        mapper: makes a sample of a record.
        records: all records; a few of them, evenly spread, serve in the place of others.
    """

    def __init__(self, mapper: Callable[[Sample], Sample], records: Sequence[Sample]) -> None:
        self.mapper = mapper
        step = max(1, len(records) // NUM_OTHERS)
        self.others = [records[k] for k in range(0, len(records), step)]

    def __call__(self, record: Sample) -> Sample:
        """Make a sample of the record, or of another; then `SKIPPED` says of which not.

        Raises:
            ValueError: many others cannot be read either.
        """
        name = str(record["file_name"])
        skipped: list[tuple[str, str]] = []
        for attempt in range(ATTEMPTS):
            try:
                sample = self.mapper(record)
            except (*READ_ERRORS, SizeMismatchError) as error:
                skipped.append((str(record["file_name"]), f"{type(error).__name__}: {error}"))
                key = f"{name} {attempt}".encode()
                record = self.others[zlib.crc32(key) % len(self.others)]
            else:
                return {**sample, SKIPPED: skipped} if skipped else sample
        raise ValueError(
            f"{name} and {ATTEMPTS - 1} images in its place cannot be read, the first because of "
            f"{skipped[0][1]}; is the folder of the images still there?"
        )


class CountingLoader:
    """A training loader that names and counts the images that were skipped.

    Args:
        loader: gives batches, lists of samples.
        limit: different images that may be unreadable, in this process since its start.

    Attributes:
        skipped: why, by file name.
    """

    def __init__(self, loader: Iterable[list[Sample]], limit: int = MAX_BAD_IMAGES) -> None:
        self.loader = loader
        self.limit = limit
        self.skipped: dict[str, str] = {}

    def __iter__(self) -> Iterator[list[Sample]]:
        """Give the loader's batches.

        Raises:
            ValueError: more than `limit` images were skipped.
        """
        for batch in self.loader:
            for sample in batch:
                for name, reason in sample.pop(SKIPPED, ()):
                    self._count(name, reason)
            yield batch

    def _count(self, name: str, reason: str) -> None:
        if name in self.skipped:
            return
        self.skipped[name] = reason
        logger.warning(
            f"skipped {name}, which cannot be read ({reason}); another image took its place: "
            f"{len(self.skipped)} such, at most {self.limit} (--max-bad-images)"
        )
        if len(self.skipped) > self.limit:
            raise ValueError(
                f"{len(self.skipped)} images cannot be read, more than --max-bad-images "
                f"{self.limit}: {', '.join(self.skipped)}; check the disk, and all images with "
                "`python tools/check_dataset.py JSON IMAGES --images all`"
            )


def build_train_loader(cfg: CfgNode, limit: int = MAX_BAD_IMAGES) -> CountingLoader:
    """Detectron2's training loader, which skips images that cannot be read, up to a limit.

    Args:
        cfg: a full config.
        limit: see `CountingLoader`; its attribute `limit` may be changed later.
    """
    keypoints = cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE
    records = get_detection_dataset_dicts(
        cfg.DATASETS.TRAIN,
        filter_empty=cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS,
        min_keypoints=keypoints if cfg.MODEL.KEYPOINT_ON else 0,
        proposal_files=cfg.DATASETS.PROPOSAL_FILES_TRAIN if cfg.MODEL.LOAD_PROPOSALS else None,
    )
    mapper = SkippingMapper(DatasetMapper(cfg, True), records)
    return CountingLoader(build_detection_train_loader(cfg, mapper=mapper, dataset=records), limit)
