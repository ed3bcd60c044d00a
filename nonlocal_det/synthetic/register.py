"""Register the drawn data sets as Detectron2 registers its own: by name, without a file."""

import os
from functools import partial
from pathlib import Path

from detectron2.data.datasets import register_coco_instances
from detectron2.data.datasets.builtin_meta import (
    COCO_PERSON_KEYPOINT_FLIP_MAP,
    COCO_PERSON_KEYPOINT_NAMES,
    KEYPOINT_CONNECTION_RULES,
)

from nonlocal_det.data.coco_data import forget
from nonlocal_det.video.datasets import register_records

from .flash_clips import LEVELS as FLASH_LEVELS
from .flash_clips import clip_records as flash_records
from .flash_clips import make_flash_clips
from .long_range.recipe import CATEGORIES, DATA_SETS, SPLITS
from .mini_coco import CATEGORY_IDS, make_mini_coco
from .moving_clips import CLASSES, clip_records, make_moving_clips

KEYPOINT_METADATA = {
    "keypoint_names": COCO_PERSON_KEYPOINT_NAMES,
    "keypoint_flip_map": COCO_PERSON_KEYPOINT_FLIP_MAP,
    "keypoint_connection_rules": KEYPOINT_CONNECTION_RULES,
}
MINI_COCO_TOOL = "-m nonlocal_det make-mini-coco"


def register_mini_coco(root: str | os.PathLike[str] | None = None) -> None:
    """Register `mini_coco_{train,val}` and `mini_coco_keypoints_{train,val}`.

    The files are read when a loader asks for them, so they may be made later
    (`make-mini-coco`). Called again, it points the names to the root it is given.

    Args:
        root: the folder that holds `mini_coco/`; by default `$DETECTRON2_DATASETS`, else
            "datasets", as for Detectron2's builtin data sets.
    """
    folder = _folder(root, "mini_coco")
    names = list(CATEGORY_IDS)  # in the order of their ids
    everything = {"thing_classes": names}
    people = {"thing_classes": names[:1], **KEYPOINT_METADATA}
    for split in ("train", "val"):
        for name, kind, metadata in (
            (f"mini_coco_{split}", "instances", everything),
            (f"mini_coco_keypoints_{split}", "person_keypoints", people),
        ):
            json_file = os.path.join(folder, "annotations", f"{kind}_{split}2017.json")
            forget(name)
            image_root = os.path.join(folder, f"{split}2017")
            classes = metadata["thing_classes"]
            ids = {CATEGORY_IDS[category]: index for index, category in enumerate(classes)}
            more = {
                "drawn_by": MINI_COCO_TOOL,
                "drawn_in": folder,
                "draw": make_mini_coco,
                "thing_dataset_id_to_contiguous_id": ids,
            }
            register_coco_instances(name, {**metadata, **more}, json_file, image_root)


def register_long_range(root: str | os.PathLike[str] | None = None) -> None:
    """Register `long_range_NAME_{train,val,test}` for every NAME of `DATA_SETS`.

    The files may be made later (`make-long-range`). Called again, it points the names to
    the root it is given.

    Args:
        root: the folder that holds `long_range/`; see `register_mini_coco`.
    """
    for key, data in DATA_SETS.items():
        folder, level = _folder(root, os.path.join("long_range", key)), data.level
        metadata = {
            "long_range": key,
            "drawn_by": f"-m nonlocal_det make-long-range {key}",
            "drawn_in": folder,
            "thing_classes": list(CATEGORIES[level]),
            "thing_dataset_id_to_contiguous_id": {k + 1: k for k in range(len(CATEGORIES[level]))},
            **(KEYPOINT_METADATA if level == "pose" else {}),
        }
        for split in SPLITS:
            name = f"long_range_{key}_{split}"
            forget(name)
            json_file = os.path.join(folder, "annotations", f"{split}.json")
            register_coco_instances(name, metadata, json_file, os.path.join(folder, split))


def register_moving_clips(root: str | os.PathLike[str] | None = None) -> None:
    """Register ``moving_clips_{train,val}``, whose files may be made later (`make_moving_clips`).

    Args:
        root: the folder that holds ``moving_clips/``; see `register_mini_coco`.
    """
    for split in ("train", "val"):
        folder = Path(_folder(root, "moving_clips")) / split
        register_records(
            f"moving_clips_{split}",
            partial(clip_records, folder),
            CLASSES,
            drawn_in=folder.parent,
            draw=make_moving_clips,
            expected_files=[folder],
        )


def register_flash_clips(root: str | os.PathLike[str] | None = None) -> None:
    """Register ``flash_LEVEL_{train,val,test}`` for every level of `flash_clips.LEVELS`.

    The files may be made later (`make_flash_clips`).

    Args:
        root: the folder that holds ``flash_clips/``; see `register_mini_coco`.
    """
    for level, content in FLASH_LEVELS.items():
        folder = Path(_folder(root, os.path.join("flash_clips", level)))
        draw = partial(make_flash_clips, name=level)
        for split in SPLITS:
            register_records(
                f"flash_{level}_{split}",
                partial(flash_records, folder, split),
                content.classes,
                flashes=level,
                drawn_in=folder,
                draw=draw,
                expected_files=[folder / f"{split}.csv", folder / split],
            )


def _folder(root: str | os.PathLike[str] | None, name: str) -> str:
    root = os.getenv("DETECTRON2_DATASETS", "datasets") if root is None else root
    return os.path.join(os.path.expanduser(root), name)
