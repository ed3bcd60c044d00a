"""Handle files that cannot be read: a training takes others, an evaluation ends with the name."""

import logging
from collections.abc import Callable
from typing import Any

from detectron2.data.detection_utils import SizeMismatchError

from .check import READ_ERRORS

logger = logging.getLogger(__name__)

UNREADABLE = (*READ_ERRORS, SizeMismatchError)
"""What a mapper raises where a record's file cannot be used."""
SKIPPED = "skipped_images"
"""The entry of a sample that names the images that it replaces, each with the reason."""
MAX_BAD_IMAGES = 10

Sample = dict[str, Any]
Mapper = Callable[[Sample], Sample | None]
"""From a record to what a model takes; None for a record that cannot be used."""


def name_of(record: Sample) -> str:
    """Return the file name of a record, or its id where it has no file."""
    return str(record.get("file_name", record.get("image_id")))


class StrictMapper:
    """A mapper that names the file that cannot be read.

    For an evaluation: with another image in its place the AP would be another data set's.

    Args:
        mapper: makes a sample of a record.
        allow_bad: let the mapper's method ``unreadable``, where it has one, make the sample that
            stands for a record whose file cannot be read, and is counted by the evaluator.
    """

    def __init__(self, mapper: Mapper, *, allow_bad: bool = False) -> None:
        self.mapper = mapper
        self.replace: Mapper | None = getattr(mapper, "unreadable", None) if allow_bad else None

    def __call__(self, record: Sample) -> Sample | None:
        """Make a sample of the record.

        Raises:
            ValueError: its file cannot be read.
        """
        try:
            return self.mapper(record)
        except UNREADABLE as error:
            if self.replace is not None:
                logger.warning(f"{name_of(record)} cannot be read and counts as wrong: {error}")
                return self.replace(record)
            other = ", or --allow-bad-data" if hasattr(self.mapper, "unreadable") else ""
            raise ValueError(
                f"{name_of(record)} cannot be read ({type(error).__name__}: {error}), and an "
                f"evaluation leaves no file out; repair it, or take it out of the list{other} "
                "(`python -m nonlocal_det check` with `--images all` finds all such)"
            ) from error


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
            f"skipped {name}, which cannot be read ({reason}); another one took its place: "
            f"{len(self.reasons)} such, at most {self.limit} (--max-bad-images)"
        )
        if len(self.reasons) > self.limit:
            raise ValueError(
                f"{len(self.reasons)} files cannot be read, more than --max-bad-images "
                f"{self.limit}: {', '.join(self.reasons)}; check the disk, and all files by "
                "`python -m nonlocal_det check` with `--images all`"
            )
