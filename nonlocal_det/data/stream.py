"""The training images as one endless stream that a resume takes up exactly, and the test loader.

Detectron2's loaders start anew when a training is resumed. Here the n-th draw and its augmentation
depend on the seed and on n only: neither on the number of loading processes nor on what they had
fetched ahead, so the position is one number.
"""

import logging
import random
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import (
    DatasetFromList,
    MetadataCatalog,
    build_detection_test_loader,
    build_detection_train_loader,
)
from detectron2.utils import comm
from detectron2.utils.serialize import PicklableWrapper
from torch.utils.data import DataLoader, Dataset

from .mappers import build_mapper, without_augmentation
from .seeding import SAMPLE, SAMPLER, VALIDATION, seeded
from .skipping import SKIPPED, UNREADABLE, Mapper, Sample, SkippedImages, StrictMapper, name_of
from .workers import ignore_signals_in_workers

logger = logging.getLogger("nonlocal_det")
MAX_ATTEMPTS = 16
"""Records in a row that may be unreadable, or refused by a mapper."""

Batch = list[Sample]
Draw = tuple[int, int]
"""The number of a draw, from 0 and over all processes, and the index of the record it has drawn."""


def build_train_stream(cfg: CfgNode, mapper: Mapper | None = None) -> Iterable[Batch]:
    """Build Detectron2's training loader for a config, as a stream that a resume takes up exactly.

    Data sets, filters, samplers and aspect ratio grouping are Detectron2's own; an image that
    cannot be read is replaced by another one, named and counted. Data that is not a list of
    records (a torch data set in Detectron2's catalogue) gets Detectron2's loader, which starts
    anew on a resume.

    Args:
        cfg: a full config.
        mapper: by default as `build_mapper` builds it.

    Returns:
        A `TrainStream`, or Detectron2's loader.

    Raises:
        ValueError: the batch cannot be shared out to the processes, or as `build_mapper`.
    """
    parts = build_detection_train_loader.from_config(cfg, mapper or identity_collate)
    records = parts["dataset"]
    if mapper is None:
        known = records if isinstance(records, list) else ()
        mapper = build_mapper(cfg, cfg.DATASETS.TRAIN, is_train=True, records=known)
    if isinstance(records, list):
        return TrainStream(cfg, records, mapper)
    loader: Iterable[Batch] = build_detection_train_loader(**{**parts, "mapper": mapper})
    return loader


def build_test_loader(cfg: CfgNode, name: str) -> Iterable[Batch]:
    """Build Detectron2's test loader, which names an image that cannot be read.

    Args:
        cfg: a full config.
        name: of the data set; see `build_mapper`.
    """
    allow_bad = MetadataCatalog.get(name).get("allow_bad_data", False)
    mapper = StrictMapper(build_mapper(cfg, [name], is_train=False), allow_bad=allow_bad)
    loader: Iterable[Batch] = ignore_signals_in_workers(
        build_detection_test_loader(cfg, name, mapper=mapper)
    )
    return loader


def build_validation_loader(cfg: CfgNode, name: str) -> Iterable[list[Sample | None]] | None:
    """Build a test loader whose samples have their ground truth, as in training, unaugmented.

    Args:
        cfg: a full config.
        name: of the data set; its metadata may name ``without_augmentation``, see `mappers`.

    Returns:
        Batches with None for a file that cannot be read, which the evaluation names. None where no
        record has an annotation, as of test-dev.
    """
    cfg = MetadataCatalog.get(name).get("without_augmentation", without_augmentation)(cfg)
    parts = build_detection_test_loader.from_config(cfg, name, identity_collate)
    records = parts["dataset"]
    if not any(record.get("annotations", True) for record in records):
        return None
    parts["mapper"] = _FixedMapper(build_mapper(cfg, [name], is_train=True, records=records))
    loader: Iterable[list[Sample | None]] = ignore_signals_in_workers(
        build_detection_test_loader(**parts)
    )
    return loader


class _FixedMapper:
    """A training's mapper whose random numbers depend on the record only."""

    def __init__(self, mapper: Mapper) -> None:
        self.mapper = mapper

    def __call__(self, record: Sample) -> Sample | None:
        """Make a sample of the record; None: its file cannot be read."""
        name = Path(name_of(record)).name
        with seeded(VALIDATION, zlib.crc32(name.encode())):
            try:
                return self.mapper(record)
            except UNREADABLE:
                return None


class TrainStream:
    """Batches for this process, without end; the next iterator goes on where the last has stopped.

    Args:
        cfg: sampler, grouping, batch and loading processes.
        records: what the sampler draws from. Where they have no ``width`` and ``height``, batches
            are not grouped by aspect ratio.
        mapper: see `Mapper`.

    Attributes:
        batches: how many it has given out.
        skipped: images that could not be read, and how many may be.

    Raises:
        ValueError: ``SOLVER.IMS_PER_BATCH`` is no multiple of the number of processes.
    """

    def __init__(self, cfg: CfgNode, records: list[Sample], mapper: Mapper) -> None:
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
        if cfg.DATALOADER.ASPECT_RATIO_GROUPING and {"width", "height"} <= records[0].keys():
            self._wide = np.array([record["width"] > record["height"] for record in records])
        self.records = DatasetFromList(records, copy=False)
        self._running: Iterator[Batch] | None = None

    @property
    def images(self) -> int:
        """The number of images it has given out, in all processes together."""
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
        """Return batches from where the last iterator, or `continue_from`, has stopped."""
        self._running = self._iterate()
        return self._running

    def close(self) -> None:
        """End the loading processes at once; a new iterator starts others."""
        if self._running is not None:
            self._running.close()  # type: ignore[attr-defined]
            self._running = None

    def _iterate(self) -> Iterator[Batch]:
        """Begin at the first `next`: Detectron2's 0.6 asks for an iterator before a resume."""
        loader = DataLoader(
            _Samples(self.records, self.mapper, self.seed),
            sampler=chain.from_iterable(islice(self.draws(), self.batches, None)),
            batch_size=None,  # single samples: the loading processes share a batch
            collate_fn=identity_collate,
            num_workers=self.cfg.DATALOADER.NUM_WORKERS,
            generator=torch.Generator(),  # else it draws its seed from the model's generator
        )
        samples = iter(ignore_signals_in_workers(loader))
        while True:
            batch = list(islice(samples, self.batch_size))
            self.batches += 1
            self.skipped.note(batch)
            yield batch

    def draws(self) -> Iterator[list[Draw]]:
        """Yield what this process's batches hold, from the very first on; no image is loaded."""
        rank, processes = comm.get_rank(), comm.get_world_size()
        draws = ((rank + count * processes, index) for count, index in enumerate(self._sampler()))
        while self._wide is None:
            yield list(islice(draws, self.batch_size))
        buckets: tuple[list[Draw], list[Draw]] = ([], [])
        for draw in draws:
            bucket = buckets[0 if self._wide[draw[1]] else 1]
            bucket.append(draw)
            if len(bucket) == self.batch_size:
                yield bucket[:]
                bucket.clear()

    def _sampler(self) -> Iterable[int]:
        """Build Detectron2's sampler, with seeds that follow from ours."""
        cfg = self.cfg.clone()
        cfg.defrost()
        cfg.SEED = self.seed  # main gives it to the sampler
        with seeded(self.seed, SAMPLER):  # the 0.6 release draws the sampler's with numpy
            parts = build_detection_train_loader.from_config(cfg, self.mapper, dataset=self.records)
        sampler: Iterable[int] = parts["sampler"]
        return sampler


class _Samples(Dataset[Sample]):
    """Maps a draw to what a model takes, with generators that are seeded by the draw's number."""

    def __init__(self, records: DatasetFromList, mapper: Mapper, seed: int) -> None:
        self.records = records
        self.mapper = PicklableWrapper(mapper)
        self.seed = seed

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.records)

    def __getitem__(self, draw: Draw) -> Sample:
        """Return the sample of a draw; of another record if that is unreadable or refused.

        Which one depends on seed and draw only. `SKIPPED` names the unreadable ones.

        Raises:
            ValueError: `MAX_ATTEMPTS` records in a row cannot be used.
        """
        number, index = draw
        skipped: list[tuple[str, str]] = []
        reason = ""
        with seeded(self.seed, SAMPLE, number):
            for _ in range(MAX_ATTEMPTS):
                record = self.records[index]
                try:
                    sample: Sample | None = self.mapper(record)
                except UNREADABLE as error:
                    reason = f"{type(error).__name__}: {error}"
                    skipped.append((name_of(record), reason))
                else:
                    if sample is not None:
                        return {**sample, SKIPPED: skipped} if skipped else sample
                    reason = "the mapper has returned None"
                    logger.warning(f"{name_of(record)} is replaced by another image: {reason}")
                index = random.randrange(len(self.records))
        raise ValueError(
            f"{MAX_ATTEMPTS} records in a row cannot be used, {name_of(record)} the last: "
            f"{reason}; is the folder of the files still there?"
        )


def identity_collate(sample: Any) -> Any:
    """Return a sample as it is; the default ``collate_fn`` of a DataLoader makes tensors of it."""
    return sample
