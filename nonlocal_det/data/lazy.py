"""The loaders as a LazyConfig calls them: by arguments instead of a config's keys."""

from typing import Any

from detectron2.config import get_cfg
from detectron2.data import build_detection_test_loader
from torch.utils.data import DataLoader

from .samples import Mapper
from .skipping import SkippingMapper, StrictMapper
from .stream import TrainStream


def train_stream(
    *,
    dataset: list[dict[str, Any]],
    mapper: Mapper,
    total_batch_size: int,
    num_workers: int = 0,
    aspect_ratio_grouping: bool = True,
    sampler: str = "TrainingSampler",
    repeat_threshold: float = 0.0,
) -> TrainStream:
    """The stream that `build_train_stream` makes of a YAML config: a resume takes it up exactly.

    Detectron2's ``build_detection_train_loader`` takes the first five arguments, but its images
    start anew on a resume.

    Args:
        dataset: records of images, as Detectron2's ``get_detection_dataset_dicts`` gives them.
        mapper: from a record to what the model takes.
        total_batch_size: images of a step in all processes.
        num_workers: loading processes of each process.
        aspect_ratio_grouping: whether the images of a batch are all wide or all high.
        sampler: ``TrainingSampler`` or ``RepeatFactorTrainingSampler``.
        repeat_threshold: of the latter.

    Raises:
        ValueError: the batch cannot be shared out to the processes, or the data is no list.
    """
    if not isinstance(dataset, list):
        raise ValueError(
            f"dataloader.train.dataset is a {type(dataset).__name__}; train_stream takes a list of "
            "records. Give dataloader.train Detectron2's build_detection_train_loader for others"
        )
    cfg = get_cfg()  # Detectron2 builds its samplers from one
    cfg.SOLVER.IMS_PER_BATCH = total_batch_size
    cfg.DATALOADER.NUM_WORKERS = num_workers
    cfg.DATALOADER.ASPECT_RATIO_GROUPING = aspect_ratio_grouping
    cfg.DATALOADER.SAMPLER_TRAIN = sampler
    cfg.DATALOADER.REPEAT_THRESHOLD = repeat_threshold
    return TrainStream(cfg, dataset, SkippingMapper(mapper, dataset))


def strict_test_loader(
    *, dataset: list[dict[str, Any]], mapper: Mapper, num_workers: int = 0
) -> DataLoader[dict[str, Any]]:
    """Detectron2's ``build_detection_test_loader``, which names an image that cannot be read.

    Args:
        dataset: records of images.
        mapper: from a record to what the model takes.
        num_workers: loading processes.
    """
    loader: DataLoader[dict[str, Any]] = build_detection_test_loader(
        dataset, mapper=StrictMapper(mapper), num_workers=num_workers
    )
    return loader
