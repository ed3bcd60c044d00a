"""Handle images that cannot be read: a training takes others, an evaluation ends with the name."""

import logging
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from detectron2.data.detection_utils import SizeMismatchError

from .check import READ_ERRORS

logger = logging.getLogger(__name__)

SKIPPED = "skipped_images"
"""The entry of a sample that names the images that it replaces."""
MAX_BAD_IMAGES = 10
NUM_OTHERS = 64
ATTEMPTS = 16

Sample = dict[str, Any]


class SkippingMapper:
    """A mapper that takes another image where one cannot be read.

    Which one depends on the unreadable file's name only, so a resumed run takes the same, also
    from another folder; if that one cannot be read either, the next.
    (`MapDataset` could do it, but it fails on Python 3.11 and draws at random.)

    Args:
        mapper: makes a sample of a record.
        records: all records; a few of them, evenly spread, replace those that cannot be read.
    """

    def __init__(
        self, mapper: Callable[[Sample], Sample | None], records: Sequence[Sample]
    ) -> None:
        self.mapper = mapper
        step = max(1, len(records) // NUM_OTHERS)
        self.others = [records[k] for k in range(0, len(records), step)]

    def __call__(self, record: Sample) -> Sample | None:
        """Make a sample of the record, or of another; then `SKIPPED` names those left out.

        None is what the mapper refuses.

        Raises:
            ValueError: many others cannot be read either.
        """
        name = _name(record)
        first = zlib.crc32(Path(name).name.encode())
        skipped: list[tuple[str, str]] = []
        for attempt in range(ATTEMPTS):
            try:
                sample = self.mapper(record)
            except (*READ_ERRORS, SizeMismatchError) as error:
                skipped.append((_name(record), f"{type(error).__name__}: {error}"))
                record = self.others[(first + attempt) % len(self.others)]
            else:
                return {**sample, SKIPPED: skipped} if sample and skipped else sample
        raise ValueError(
            f"{name} and {ATTEMPTS - 1} images in its place cannot be read, the first because of "
            f"{skipped[0][1]}; is the folder of the images still there?"
        )


class StrictMapper:
    """A mapper that names the image that cannot be read.

    For an evaluation: with another image in its place the AP would be another data set's.

    Args:
        mapper: makes a sample of a record.
    """

    def __init__(self, mapper: Callable[[Sample], Sample | None]) -> None:
        self.mapper = mapper

    def __call__(self, record: Sample) -> Sample | None:
        """Make a sample of the record.

        Raises:
            ValueError: its image cannot be read.
        """
        try:
            return self.mapper(record)
        except (*READ_ERRORS, SizeMismatchError) as error:
            raise ValueError(
                f"{_name(record)} cannot be read ({type(error).__name__}: {error}), and an "
                "evaluation leaves no image out; repair it, or take it out of the json (all such: "
                "`python tools/check_dataset.py JSON IMAGES --images all`)"
            ) from error


def _name(record: Sample) -> str:
    """Return a record's name; one for a user's own mapper may have no file."""
    return str(record.get("file_name", record.get("image_id")))


class SkippedImages:
    """Names and counts the images that were skipped, and ends the training if they are too many.

    Args:
        limit: different images that may be unreadable, in this process since its start.

    Attributes:
        reasons: why, by file name.
    """

    def __init__(self, limit: int = MAX_BAD_IMAGES) -> None:
        self.limit = limit
        self.reasons: dict[str, str] = {}

    def note(self, batch: list[Sample]) -> None:
        """Count the images that others have replaced; the samples' `SKIPPED` is removed.

        Raises:
            ValueError: more than `limit` images were skipped.
        """
        for sample in batch:
            for name, reason in sample.pop(SKIPPED, ()):
                self._count(name, reason)

    def _count(self, name: str, reason: str) -> None:
        if name in self.reasons:
            return
        self.reasons[name] = reason
        logger.warning(
            f"skipped {name}, which cannot be read ({reason}); another image took its place: "
            f"{len(self.reasons)} such, at most {self.limit} (--max-bad-images)"
        )
        if len(self.reasons) > self.limit:
            raise ValueError(
                f"{len(self.reasons)} images cannot be read, more than --max-bad-images "
                f"{self.limit}: {', '.join(self.reasons)}; check the disk, and all images with "
                "`python tools/check_dataset.py JSON IMAGES --images all`"
            )
