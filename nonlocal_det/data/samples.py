"""The images of a training, each mapped with chance of its own: the same in any loading process."""

import logging
import random
from collections.abc import Callable
from typing import Any

from detectron2.data import DatasetFromList
from detectron2.utils.serialize import PicklableWrapper
from torch.utils.data import Dataset

from .seeding import SAMPLE, seeded

TRIES = 10
"""Images in a row that a mapper may refuse."""

Place = tuple[int, int]
"""The number of a draw, from 0 and over all processes, and the index of the record it has drawn."""
Mapper = Callable[[dict[str, Any]], dict[str, Any] | None]
logger = logging.getLogger("nonlocal_det")


class Samples(Dataset[dict[str, Any]]):
    """Maps a draw to what a model takes.

    Args:
        records: in Detectron2's format, serialised.
        mapper: loads and augments; returns None for an image that cannot be used.
        seed: of the training.
    """

    def __init__(self, records: DatasetFromList, mapper: Mapper, seed: int) -> None:
        self.records = records
        self.mapper = PicklableWrapper(mapper)
        self.seed = seed

    def __len__(self) -> int:
        """The number of records."""
        return len(self.records)

    def __getitem__(self, place: Place) -> dict[str, Any]:
        """The image of a draw, or one drawn in its stead if the mapper refuses it.

        Raises:
            ValueError: the mapper refuses one after the other.
        """
        number, index = place
        with seeded(self.seed, SAMPLE, number):
            for _ in range(TRIES):
                sample: dict[str, Any] | None = self.mapper(self.records[index])
                if sample is not None:
                    return sample
                name = self.records[index].get("file_name", index)
                logger.warning(f"the mapper has refused {name}; another image takes its place")
                index = random.randrange(len(self.records))
        raise ValueError(
            f"the mapper has refused {TRIES} images in a row, {name} the last; it returns None for "
            "what it cannot use: look at the data, or at the mapper"
        )


def as_it_is(sample: Any) -> Any:
    """For the ``collate_fn`` of a DataLoader, whose own turns arrays into tensors."""
    return sample
