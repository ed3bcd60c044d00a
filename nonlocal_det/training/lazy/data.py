"""The data of a training and an evaluation as LazyConfig nodes."""

from detectron2.config import LazyCall
from detectron2.data import DatasetMapper, get_detection_dataset_dicts
from detectron2.data import transforms as T
from detectron2.data.detection_utils import create_keypoint_hflip_indices
from omegaconf import DictConfig

from nonlocal_det.data import strict_test_loader, train_stream
from nonlocal_det.detection.lazy import ReadConfig
from nonlocal_det.evaluation import COCOEvaluator

_FLIPS = {"none": [], "horizontal": [(True, False)], "vertical": [(False, True)]}


def dataloader_node(cfg: ReadConfig) -> DictConfig:
    """``dataloader.train``, ``.test`` and ``.evaluator``, under Detectron2's own paths.

    Raises:
        ValueError: ``INPUT.RANDOM_FLIP`` is none of Detectron2's.
    """
    loader = cfg.DATALOADER
    fewest = cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE
    train = LazyCall(train_stream)(
        dataset=LazyCall(get_detection_dataset_dicts)(
            names=_one_or_all(cfg.DATASETS.TRAIN),
            filter_empty=loader.FILTER_EMPTY_ANNOTATIONS,
            min_keypoints=fewest if cfg.MODEL.KEYPOINT_ON else 0,
        ),
        mapper=_train_mapper(cfg),
        total_batch_size=cfg.SOLVER.IMS_PER_BATCH,
        num_workers=loader.NUM_WORKERS,
        aspect_ratio_grouping=loader.ASPECT_RATIO_GROUPING,
        sampler=loader.SAMPLER_TRAIN,
        repeat_threshold=loader.REPEAT_THRESHOLD,
    )
    test = LazyCall(strict_test_loader)(
        dataset=LazyCall(get_detection_dataset_dicts)(
            names=_one_or_all(cfg.DATASETS.TEST), filter_empty=False
        ),
        mapper=LazyCall(DatasetMapper)(
            is_train=False,
            augmentations=[
                LazyCall(T.ResizeShortestEdge)(
                    short_edge_length=cfg.INPUT.MIN_SIZE_TEST,
                    max_size=cfg.INPUT.MAX_SIZE_TEST,
                    sample_style="choice",
                )
            ],
            image_format="${...train.mapper.image_format}",
        ),
        num_workers="${..train.num_workers}",
    )
    evaluator = LazyCall(COCOEvaluator)(
        dataset_name="${..test.dataset.names}",
        output_dir="${train.output_dir}/inference",
        kpt_oks_sigmas=cfg.TEST.KEYPOINT_OKS_SIGMAS,
    )
    parts = {"train": train, "test": test, "evaluator": evaluator}
    return DictConfig(parts, flags={"allow_objects": True})


def _train_mapper(cfg: ReadConfig) -> DictConfig:
    node = cfg.INPUT
    flips = node.choose("RANDOM_FLIP", _FLIPS)
    mapper = LazyCall(DatasetMapper)(
        is_train=True,
        augmentations=[
            LazyCall(T.ResizeShortestEdge)(
                short_edge_length=node.MIN_SIZE_TRAIN,
                max_size=node.MAX_SIZE_TRAIN,
                sample_style=node.MIN_SIZE_TRAIN_SAMPLING,
            ),
            *(LazyCall(T.RandomFlip)(horizontal=one, vertical=other) for one, other in flips),
        ],
        image_format=node.FORMAT,
        use_instance_mask=cfg.MODEL.MASK_ON,
        instance_mask_format=node.MASK_FORMAT,
        use_keypoint=cfg.MODEL.KEYPOINT_ON,
    )
    if cfg.MODEL.KEYPOINT_ON:  # of the data set, whichever is named
        mapper.keypoint_hflip_indices = LazyCall(create_keypoint_hflip_indices)(
            dataset_names="${...dataset.names}"
        )
    return mapper


def _one_or_all(names: list[str]) -> str | list[str]:
    """A name stands alone, as in Detectron2's own LazyConfigs."""
    return names[0] if len(names) == 1 else names
