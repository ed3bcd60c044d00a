"""Draw a long-range data set and write it in COCO's format."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nonlocal_det.data.opencv import import_cv2
from nonlocal_det.synthetic.dataset_folder import make_folder, write_json

from .recipe import LEVELS, SPLITS, Recipe, check
from .records import annotation, content
from .sets import find_set

if TYPE_CHECKING:
    from .draft import Scene

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
    own = find_set(name)
    recipe = Recipe(
        level=own.level,
        num_train=own.num_train if num_train is None else num_train,
        num_val=num_val,
        num_test=own.num_test if num_test is None else num_test,
        height=own.height if height is None else height,
        width=own.width if width is None else width,
        object_size=object_size,
        receptive_field=receptive_field,
        seed=seed,
    )
    check(recipe)

    def write(made: Path) -> None:
        (made / "annotations").mkdir()
        for split in SPLITS:
            _write_split(made, recipe, split)

    target = Path(out) / "long_range" / name
    return make_folder(target, recipe.as_dict(), write, "make_long_range", force)


def draw_image(recipe: Recipe, split: str, index: int) -> "Scene":
    """Draw image ``index`` of a split.

    Raises:
        ValueError: no arrangement of the things was found.
    """
    from .beacon import draw_beacon  # these draw, so they need OpenCV
    from .draft import Draft, NoRoom
    from .local import draw_local
    from .pairs import draw_pairs
    from .pose import draw_pose

    draw = {"beacon": draw_beacon, "pairs": draw_pairs, "pose": draw_pose, "local": draw_local}
    seeds = [recipe.seed, LEVELS.index(recipe.level), SPLITS.index(split), index]
    rng = np.random.default_rng(seeds)
    for _ in range(_ARRANGEMENTS):
        try:
            return draw[recipe.level](Draft(rng, recipe, split == "train"))
        except NoRoom:
            continue
    raise ValueError(
        f"level={recipe.level!r}: {_ARRANGEMENTS} arrangements left no room in {recipe.height}x"
        f"{recipe.width} pixels for objects of {recipe.object_size}; use larger images"
    )


def _write_split(root: Path, recipe: Recipe, split: str) -> None:
    """Draw one split: its images and its json."""
    cv2 = import_cv2()
    (root / split).mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(recipe.count(split)):
        scene = draw_image(recipe, split, index)
        image_id = index + 1
        name = f"{image_id:012d}.png"
        size = {"height": recipe.height, "width": recipe.width}
        images.append({"id": image_id, "file_name": name, "license": 1, **size})
        path = root / split / name
        if not cv2.imwrite(str(path), scene.image):
            raise OSError(f"cannot write {path}")
        things = [(item, False) for item in scene.items]
        things += [(item, split != "train") for item in scene.evidence]
        for item, is_crowd in things:
            one = annotation(item, recipe, image_id, len(annotations) + 1, is_crowd)
            annotations.append(one)
    json_file = root / "annotations" / f"{split}.json"
    write_json(json_file, content(recipe, split, images, annotations))
