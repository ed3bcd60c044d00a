"""Write a small drawn data set in COCO's own layout, for tests and for runs without a download."""

from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data.datasets.builtin_meta import COCO_PERSON_KEYPOINT_NAMES

from .coco_records import LICENSES, SKELETON, write_images
from .dataset_folder import make_folder, write_json
from .scene import draw_scene

# Raise it whenever the same parameters give other bytes: older data is then refused, not mixed in.
VERSION = 1
MIN_SIZE = 64
# Not contiguous, as in COCO, so that the mapping of ids is exercised.
CATEGORY_IDS = {"person": 1, "circle": 3, "square": 7, "triangle": 8, "star": 10}


def make_mini_coco(
    out: Path,
    *,
    num_train: int = 400,
    num_val: int = 100,
    size: int = 128,
    seed: int = 0,
    force: bool = False,
) -> Path:
    """Draw the data set `out`/mini_coco: people with 17 keypoints, shapes, crowds, empty images.

    Equal parameters give equal bytes (with equal versions of numpy and OpenCV), and image k does
    not depend on the number of images. A data set of the same parameters is left alone.

    Args:
        out: the folder of all data sets, e.g. what `DETECTRON2_DATASETS` names; made if absent.
        num_train: number of training images, at least 1.
        num_val: number of validation images, at least 1.
        size: typical side of an image in pixels, at least 64; sides vary by a quarter of it.
        seed: not negative.
        force: replace a data set that was made with other parameters.

    Returns:
        The folder `out`/mini_coco.

    Raises:
        ValueError: a parameter is out of range, or the folder exists and was made with other
            parameters or by something else.
    """
    recipe = {"num_train": num_train, "num_val": num_val, "size": size, "seed": seed}
    for key, least in (("num_train", 1), ("num_val", 1), ("size", MIN_SIZE), ("seed", 0)):
        if recipe[key] < least:
            raise ValueError(f"{key}={recipe[key]}; expected at least {least}")
    recipe["version"] = VERSION

    def write(made: Path) -> None:
        (made / "annotations").mkdir()
        _write_split(made, "train2017", num_train, size, (seed, 0))
        _write_split(made, "val2017", num_val, size, (seed, 1))

    return make_folder(Path(out) / "mini_coco", recipe, write, "make_mini_coco", force)


def _write_split(root: Path, split: str, count: int, size: int, seed: tuple[int, int]) -> None:
    """Draw one split: its images and both of its json files."""
    scenes = (
        draw_scene(np.random.default_rng([*seed, index]), size, _kind(index))
        for index in range(count)
    )
    images, annotations = write_images(root / split, scenes, CATEGORY_IDS)
    header = {
        "info": {"description": "mini COCO, drawn by nonlocal_det"},
        "licenses": LICENSES,
        "images": images,
    }
    categories: list[dict[str, Any]] = [
        {"id": number, "name": name, "supercategory": "person" if name == "person" else "shape"}
        for name, number in CATEGORY_IDS.items()
    ]
    keys = ("num_keypoints", "keypoints")
    plain = [{k: v for k, v in record.items() if k not in keys} for record in annotations]
    people = [record for record in annotations if "keypoints" in record]
    person = {**categories[0], "keypoints": COCO_PERSON_KEYPOINT_NAMES, "skeleton": SKELETON}
    for kind, content in (
        ("instances", {"annotations": plain, "categories": categories}),
        ("person_keypoints", {"annotations": people, "categories": [person]}),
    ):
        write_json(root / "annotations" / f"{kind}_{split}.json", {**header, **content})


def _kind(index: int) -> str:
    """One image in 20 has a crowd and one in 32 is empty, in small data sets too."""
    if index % 20 == 4:
        return "crowd"
    return "empty" if index % 32 == 9 else "plain"
