"""Build what makes a sample of a record, and let it read masks of any format."""

import logging
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import DatasetMapper, MetadataCatalog
from pycocotools import mask as mask_utils

from .skipping import Mapper, Sample

logger = logging.getLogger("nonlocal_det")


def build_mapper(
    cfg: CfgNode, names: Sequence[str], is_train: bool, records: Iterable[Sample] = ()
) -> Mapper:
    """Build the mapper of data sets: by their metadata's ``build_mapper``, else Detectron2's.

    Args:
        cfg: a full config; not changed.
        names: of the data sets; the first one's metadata decides.
        is_train: whether to augment and to load annotations.
        records: what it will read. Masks as run lengths (RLE) are trained as bitmaps, and all
            others with them, whatever ``INPUT.MASK_FORMAT`` is; the log says so.

    Raises:
        ValueError: masks are polygons, and there is no shapely to crop them with.
    """
    cfg = cfg.clone()
    cfg.defrost()
    rasterizes = False
    if is_train and cfg.MODEL.MASK_ON:
        _choose_mask_format(cfg, names, records)
        rasterizes = cfg.INPUT.MASK_FORMAT == "bitmask" and cfg.INPUT.CROP.ENABLED
    build = MetadataCatalog.get(names[0]).get("build_mapper", None)
    if build is None:
        build = DatasetMapper
        # for a flip that is not made in a test, Detectron2 asks the training data's metadata
        cfg.MODEL.KEYPOINT_ON = cfg.MODEL.KEYPOINT_ON and is_train
    mapper: Mapper = build(cfg, is_train)
    return _RasterizingMapper(mapper) if rasterizes else mapper


def without_augmentation(cfg: CfgNode) -> CfgNode:
    """Return a config whose training mapper makes images as a test does, with their ground truth.

    A data set with a mapper that reads other keys names a function as this in its metadata,
    ``without_augmentation``.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = (
        (cfg.INPUT.MIN_SIZE_TEST,),
        cfg.INPUT.MAX_SIZE_TEST,
    )
    cfg.INPUT.MIN_SIZE_TRAIN_SAMPLING = "choice"
    cfg.INPUT.RANDOM_FLIP, cfg.INPUT.CROP.ENABLED = "none", False
    return cfg


def _choose_mask_format(cfg: CfgNode, names: Sequence[str], records: Iterable[Sample]) -> None:
    """Set the format to the one that holds all masks, and check that they can be augmented."""
    if cfg.INPUT.MASK_FORMAT != "polygon":
        return
    masks = [
        annotation.get("segmentation")
        for record in records
        for annotation in record.get("annotations", ())
        if not annotation.get("iscrowd", 0)  # crowds are RLE in COCO, and are not trained
    ]
    run_lengths = sum(isinstance(mask, dict) for mask in masks)
    if run_lengths:
        logger.warning(
            f"INPUT.MASK_FORMAT is polygon, but {run_lengths} of the {len(masks)} masks of "
            f"{', '.join(names)} are RLE: this training reads all of them as bitmask"
        )
        cfg.INPUT.MASK_FORMAT = "bitmask"
    elif cfg.INPUT.CROP.ENABLED and find_spec("shapely") is None:
        raise ValueError(
            "INPUT.CROP.ENABLED=True with INPUT.MASK_FORMAT='polygon' needs shapely: "
            "pip install shapely, or set INPUT.MASK_FORMAT bitmask"
        )


class _RasterizingMapper:
    """Draws polygons as bitmaps before a mapper crops them, which needs no shapely."""

    def __init__(self, mapper: Mapper) -> None:
        self.mapper = mapper

    def __call__(self, record: Sample) -> Sample | None:
        size = record["height"], record["width"]
        annotations = [_rasterized(row, *size) for row in record.get("annotations", ())]
        return self.mapper({**record, "annotations": annotations})


def _rasterized(annotation: dict[str, Any], height: int, width: int) -> dict[str, Any]:
    polygons = annotation.get("segmentation")
    if not isinstance(polygons, list):
        return annotation
    mask = mask_utils.merge(mask_utils.frPyObjects(polygons, height, width))
    return {**annotation, "segmentation": mask}
