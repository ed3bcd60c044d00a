"""Draw a long-range data set and write it in COCO's format."""

from pathlib import Path

import numpy as np
from detectron2.data.datasets.builtin_meta import COCO_PERSON_KEYPOINT_NAMES

from nonlocal_det.synthetic.canvas import Scene
from nonlocal_det.synthetic.coco_records import LICENSES, SKELETON, write_images
from nonlocal_det.synthetic.dataset_folder import make_folder, write_json

from .bar_levels import draw_beacon, draw_local, draw_pairs
from .draft import Draft, NoRoom
from .pose_level import draw_pose
from .recipe import CATEGORIES, LEVELS, SPLITS, VERSIONS, Recipe, find_set

DRAW = {"beacon": draw_beacon, "pairs": draw_pairs, "pose": draw_pose, "local": draw_local}
_ARRANGEMENTS = 100


def make_long_range(
    out: Path,
    name: str,
    *,
    receptive_field: int,
    num_train: int | None = None,
    num_val: int = 100,
    num_test: int | None = None,
    height: int | None = None,
    width: int | None = None,
    object_size: int = 24,
    seed: int = 0,
    force: bool = False,
) -> Path:
    """Draw the data set `out`/long_range/`name`, whose objects are told by what is far away.

    Equal parameters give equal bytes (with equal versions of numpy and OpenCV), and image k of a
    split does not depend on the number of images.

    Args:
        out: the folder of all data sets, e.g. what `DETECTRON2_DATASETS` names; made if absent.
        name: ``"beacon"`` (one far cue), ``"pairs"`` (each object's twin), ``"pose"`` (a long
            figure's left and right), ``"local"`` (the answer is near), or another of `DATA_SETS`:
            one of these at the size for another backbone.
        receptive_field: side of the backbone's theoretical receptive field in pixels, see
            `nonlocal_det.analysis.receptive_fields`: the unit of the annotated distances.
        num_train: images to learn from; None: the data set's own.
        num_val: images on which learning rates are chosen.
        num_test: images on which nothing is chosen; None: the data set's own. One object in ten is
            beyond the field, so that hundreds are needed to tell chance from better.
        height: of every image in pixels; None: likewise.
        width: likewise.
        object_size: of a shape in pixels, at least 12; figures follow the image's size.
        seed: not negative.
        force: replace a data set that was made with other parameters.

    Returns:
        The folder `out`/long_range/`name`.

    Raises:
        ValueError: an unknown name; a recipe of which no task can come (no room, nothing beyond the
            receptive field), with the numbers; or the folder was made with other parameters.
    """
    data = find_set(name)
    given = {"num_train": num_train, "num_test": num_test, "height": height, "width": width}
    recipe = Recipe(
        level=data.level,
        num_val=num_val,
        object_size=object_size,
        receptive_field=receptive_field,
        seed=seed,
        **{key: getattr(data, key) if value is None else value for key, value in given.items()},
    )

    def write(made: Path) -> None:
        (made / "annotations").mkdir()
        for split in SPLITS:
            _write_split(made, recipe, split)

    target = Path(out) / "long_range" / name
    return make_folder(target, recipe.as_dict(), write, "make_long_range", force)


def draw_image(recipe: Recipe, split: str, index: int) -> Scene:
    """Draw image ``index`` of a split.

    Raises:
        ValueError: no arrangement of the things was found.
    """
    seeds = [recipe.seed, LEVELS.index(recipe.level), SPLITS.index(split), index]
    rng = np.random.default_rng(seeds)
    for _ in range(_ARRANGEMENTS):
        try:
            return DRAW[recipe.level](Draft(rng, recipe, split == "train"))
        except NoRoom:
            continue
    raise ValueError(
        f"level={recipe.level!r}: {_ARRANGEMENTS} arrangements left no room in {recipe.height}x"
        f"{recipe.width} pixels for objects of {recipe.object_size}; use larger images"
    )


def _write_split(root: Path, recipe: Recipe, split: str) -> None:
    """Draw one split: its images and its json, whose ``info`` has the recipe."""
    level, names = recipe.level, CATEGORIES[recipe.level]
    ids = {name: number for number, name in enumerate(names, 1)}
    scenes = (draw_image(recipe, split, index) for index in range(recipe.count(split)))
    images, annotations = write_images(root / split, scenes, ids, recipe.receptive_field)
    person = {"keypoints": COCO_PERSON_KEYPOINT_NAMES, "skeleton": SKELETON}
    content = {
        "info": {
            "description": f"long-range {level} {split}, drawn by nonlocal_det",
            "data_version": VERSIONS[level],
            "split": split,
            "recipe": recipe.as_dict(),
        },
        "licenses": LICENSES,
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": ids[name], "name": name, "supercategory": level}
            | (person if level == "pose" else {})
            for name in names
        ],
    }
    write_json(root / "annotations" / f"{split}.json", content)
