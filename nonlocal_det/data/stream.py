"""The training images as one endless stream that can be taken up anywhere.

Detectron2's loaders start anew when a training is resumed. Here the n-th draw and its augmentation
depend on the seed and on n alone: neither on the number of loading processes nor on what they had
fetched ahead, so the position is one number.
"""

import logging
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetFromList, build_detection_train_loader
from detectron2.utils import comm
from torch.utils.data import DataLoader

from .samples import Mapper, Place, Samples, as_it_is
from .seeding import SAMPLER, seeded
from .skipping import SkippedImages, SkippingMapper
from .workers import shielded

logger = logging.getLogger("nonlocal_det")
Batch = list[dict[str, Any]]


def build_train_stream(cfg: CfgNode, mapper: Mapper | None = None) -> Iterable[Batch]:
    """Detectron2's training loader for a config, as a stream that can be taken up anywhere.

    Data sets, filters, samplers, aspect ratio grouping and mapper are Detectron2's own; an image
    that cannot be read is skipped (`SkippingMapper`). Data that is not a list of records (a torch
    data set in Detectron2's catalogue) gets Detectron2's loader, which starts anew on a resume.

    Args:
        cfg: a full config.
        mapper: from a record to what the model takes; None: Detectron2's `DatasetMapper`.

    Returns:
        A `TrainStream`, or Detectron2's loader.

    Raises:
        ValueError: the batch cannot be shared out to the processes.
    """
    parts = build_detection_train_loader.from_config(cfg, mapper)
    records = parts["dataset"]
    if isinstance(records, list):
        return TrainStream(cfg, records, SkippingMapper(parts["mapper"], records))
    loader: Iterable[Batch] = build_detection_train_loader(**parts)
    return loader


class TrainStream:
    """Batches for this process, without end; the next iterator goes on where the last has stopped.

    Args:
        cfg: sampler, grouping, batch and loading processes.
        records: of the images; with ``width`` and ``height`` for the grouping.
        mapper: from a record to what the model takes.

    Attributes:
        batches: how many it has given out.
        skipped: images that could not be read, and how many may be.

    Raises:
        ValueError: ``SOLVER.IMS_PER_BATCH`` is no multiple of the number of processes.
    """

    def __init__(self, cfg: CfgNode, records: list[dict[str, Any]], mapper: Mapper) -> None:
        total, processes = cfg.SOLVER.IMS_PER_BATCH, comm.get_world_size()
        if total <= 0 or total % processes:
            raise ValueError(
                f"SOLVER.IMS_PER_BATCH={total} cannot be shared out to {processes} processes; give "
                f"a multiple of {processes}"
            )
        self.cfg = cfg
        self.mapper = mapper
        self.seed = max(cfg.SEED, 0)
        self.batches = 0
        self.skipped = SkippedImages()
        self.batch_size = total // processes
        self._wide: np.ndarray | None = None
        if cfg.DATALOADER.ASPECT_RATIO_GROUPING:
            self._wide = np.array([record["width"] > record["height"] for record in records])
        self.records = DatasetFromList(records, copy=False)
        self._running: Iterator[Batch] | None = None

    @property
    def images(self) -> int:
        """How many images it has given out, in all processes together."""
        return self.batches * self.batch_size * comm.get_world_size()

    def continue_from(self, seed: int, images: int) -> None:
        """Take up the stream of a seed where so many images have been given out.

        Args:
            seed: of the training, 0 or more.
            images: in all processes together; a rest that fills no batch is given out again.
        """
        self.seed = seed
        self.batches = images // (self.batch_size * comm.get_world_size())

    def __iter__(self) -> Iterator[Batch]:
        """Batches from where the last iterator, or `continue_from`, has stopped."""
        self._running = self._give()
        return self._running

    def close(self) -> None:
        """End the loading processes at once; a new iterator starts others."""
        if self._running is not None:
            self._running.close()  # type: ignore[attr-defined]
            self._running = None

    def _give(self) -> Iterator[Batch]:
        """Begins at the first `next`: Detectron2's 0.6 asks for an iterator before a resume."""
        workers = self.cfg.DATALOADER.NUM_WORKERS
        loader = DataLoader(
            Samples(self.records, self.mapper, self.seed),
            sampler=chain.from_iterable(islice(self.places(), self.batches, None)),
            batch_size=None,  # one at a time: the loading processes share a batch
            collate_fn=as_it_is,
            num_workers=workers,
            generator=torch.Generator(),  # else it takes its seed from the model's chance
        )
        samples = iter(shielded(loader))
        while True:
            batch = list(islice(samples, self.batch_size))
            self.batches += 1
            self.skipped.note(batch)
            yield batch

    def places(self) -> Iterator[list[Place]]:
        """What the batches of this process hold, from the very first on; no image is loaded."""
        rank, processes = comm.get_rank(), comm.get_world_size()
        draws = ((rank + count * processes, index) for count, index in enumerate(self._sampler()))
        while self._wide is None:
            yield list(islice(draws, self.batch_size))
        buckets: tuple[list[Place], list[Place]] = ([], [])
        for place in draws:
            bucket = buckets[0 if self._wide[place[1]] else 1]
            bucket.append(place)
            if len(bucket) == self.batch_size:
                yield bucket[:]
                bucket.clear()

    def _sampler(self) -> Iterable[int]:
        """Detectron2's own, with seeds that follow from ours."""
        cfg = self.cfg.clone()
        cfg.defrost()
        cfg.SEED = self.seed  # main gives it to the sampler
        with seeded(self.seed, SAMPLER):  # the 0.6 release draws the sampler's with numpy
            parts = build_detection_train_loader.from_config(cfg, self.mapper, dataset=self.records)
        sampler: Iterable[int] = parts["sampler"]
        return sampler
