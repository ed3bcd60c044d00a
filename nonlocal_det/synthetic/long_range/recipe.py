"""The named long-range data sets, what each is made from, and recipes no task can come of."""

import math
from dataclasses import asdict, dataclass
from typing import Any

# Raise one whenever the same recipe gives other bytes: results of two versions are not compared.
VERSIONS = {"beacon": 2, "pairs": 4, "pose": 3, "local": 2}
LEVELS = tuple(VERSIONS)
CATEGORIES = {level: ("person",) if level == "pose" else ("red", "green") for level in LEVELS}
"""By level, in the order of their ids from 1."""
SPLITS = ("train", "val", "test")

MIN_OBJECT_SIZE = 12
MOST_SHAPES = {"beacon": 4, "pairs": 4, "local": 4}
MOST_BARS = {"beacon": 1, "pairs": 2, "local": 0}
BAR_WIDTHS = {"beacon": 0.75, "pairs": 1.0, "local": 0.4}  # of a shape's size
FULLNESS = 0.6  # of the room for shapes; above it, places are found by luck or not at all

FIGURE_LENGTH = 0.85  # of the shorter side of the image
FIGURE_REACH = 0.85  # of the figure's length: from the head to the feet
MIN_FIGURE_SIDE = 96
POSE_UNITS = 0.5


@dataclass(frozen=True)
class Recipe:
    """All that decides the bytes of a data set; one that no task can come of is refused.

    Args:
        level: one of `LEVELS`.
        num_train, num_val, num_test: images of each split. Learning rates are chosen on val.
        height, width: of every image, in pixels.
        object_size: of the shapes, in pixels; bars and gaps follow it.
        receptive_field: side of the backbone's theoretical receptive field in pixels, the unit of
            the annotated distances.
        seed: not negative.

    Raises:
        ValueError: an unknown level, a number out of range, no room for the things, or none of
            them beyond the receptive field where some must be; says the numbers.
    """

    level: str
    num_train: int
    num_val: int
    num_test: int
    height: int
    width: int
    object_size: int
    receptive_field: int
    seed: int

    @property
    def bar_width(self) -> int:
        """Of the bars that carry the evidence, and of the marks of level local, in pixels."""
        return round(BAR_WIDTHS[self.level] * self.object_size)

    @property
    def near(self) -> int:
        """Pixels between a shape's disc and the mark of its own, at level local."""
        return max(3, self.object_size // 8)

    @property
    def gap(self) -> int:
        """Pixels that stay empty around every thing drawn, so that no crop shows two.

        At level local more than a shape can be from its own mark, so that it is clear whose it is.
        """
        return max(4, self.object_size // (2 if self.level == "local" else 4))

    @property
    def figure_length(self) -> float:
        """Of a figure from top to toe, in pixels."""
        return FIGURE_LENGTH * min(self.height, self.width)

    def count(self, split: str) -> int:
        """The number of images of a split."""
        return int(getattr(self, f"num_{split}"))

    def as_dict(self) -> dict[str, Any]:
        """The recipe with the version of the drawing."""
        return {**asdict(self), "version": VERSIONS[self.level]}

    def __post_init__(self) -> None:
        """Refuse a recipe that no task can come of."""
        if self.level not in LEVELS:
            raise ValueError(f"level={self.level!r}; expected one of {', '.join(LEVELS)}")
        least = {"num_train": 1, "num_val": 1, "num_test": 1, "seed": 0, "receptive_field": 1}
        for key, low in {**least, "object_size": MIN_OBJECT_SIZE, "height": 1, "width": 1}.items():
            if getattr(self, key) < low:
                raise ValueError(f"{key}={getattr(self, key)}; expected at least {low}")
        if self.level == "pose":
            _check_figure(self)
        else:
            _check_room(self)
        if self.level in ("beacon", "pairs"):
            _check_far_bar(self)


def _check_room(recipe: Recipe) -> None:
    cell = recipe.object_size + recipe.gap
    shapes, bars = MOST_SHAPES[recipe.level], MOST_BARS[recipe.level]
    each = cell if recipe.level != "local" else cell + recipe.bar_width + recipe.near
    rows = (recipe.height + recipe.gap) // cell
    free = recipe.width - bars * (recipe.bar_width + recipe.gap)
    if shapes * each <= FULLNESS * rows * free:
        return
    needed = bars * (recipe.bar_width + recipe.gap) + shapes * each / FULLNESS / max(rows, 1)
    larger = (
        f"width of at least {int(needed) + 1}"
        if rows
        else f"height of at least {recipe.object_size}"
    )
    raise ValueError(
        f"level={recipe.level!r}: no room for {shapes} shapes of object_size={recipe.object_size} "
        f"and {bars} bars, with {recipe.gap} px between them, in {recipe.height}x{recipe.width} "
        f"pixels; use a {larger}, or smaller objects"
    )


def _check_far_bar(recipe: Recipe) -> None:
    taken = recipe.bar_width + recipe.object_size // 2
    if recipe.width - taken <= recipe.receptive_field:
        raise ValueError(
            f"level={recipe.level!r}, width={recipe.width}: a shape is at most "
            f"{recipe.width - taken} px from its bar, and the backbone's receptive field is "
            f"{recipe.receptive_field} px, so no pair is beyond it; use a width of at least "
            f"{recipe.receptive_field + taken + 1}, or a backbone that sees less"
        )


def _check_figure(recipe: Recipe) -> None:
    side = min(recipe.height, recipe.width)
    if side < MIN_FIGURE_SIDE:
        raise ValueError(
            f"level='pose': {recipe.height}x{recipe.width} pixels; a figure needs at least "
            f"{MIN_FIGURE_SIDE} on either side for its joints to be apart"
        )
    far, seen = FIGURE_REACH * recipe.figure_length, POSE_UNITS * recipe.receptive_field
    if far <= seen:
        raise ValueError(
            f"level='pose', {recipe.height}x{recipe.width} pixels: a foot is at most {far:.0f} px "
            f"from the head, and a position of the backbone sees {seen:.0f} px to either side; use "
            f"sides of at least {int(seen / FIGURE_REACH / FIGURE_LENGTH) + 1}, or a backbone that "
            "sees less"
        )


@dataclass(frozen=True)
class DataSet:
    """What `make_long_range` draws under a name unless it is told otherwise.

    Args:
        level: one of `LEVELS`.
        height, width: of every image, in pixels; wider than the backbone's receptive field.
        config: of a model whose backbone's receptive field is the unit of the distances.
        num_train: images to learn from.
        num_test: images on which nothing is chosen.
        edges: between the ranges of distances that are reported, in receptive fields; the last
            range is beyond what any detection sees without a block.
    """

    level: str
    height: int
    width: int
    config: str
    num_train: int = 600
    num_test: int = 300
    edges: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0, math.inf)


DATA_SETS = {
    "beacon": DataSet("beacon", 64, 320, "long_range/beacon_R18"),
    "pairs": DataSet("pairs", 64, 320, "long_range/pairs_R18", 2000),
    "pose": DataSet("pose", 160, 160, "long_range/pose_R18", 2000, 600),
    "local": DataSet("local", 64, 320, "long_range/local_R18"),
    "beacon_wide": DataSet("beacon", 64, 640, "long_range/beacon_wide_R18"),
    "beacon_deep": DataSet("beacon", 64, 448, "long_range/beacon_deep_R50"),
    "pose_short": DataSet(
        *("pose", 160, 160, "long_range/pose_short_R18", 2000, 600),
        edges=(0.0, 0.5, 1.0, 1.85, math.inf),
    ),
}
"""By the name of their folder; each level has one of its own name."""


def find_set(name: str) -> DataSet:
    """Return the data set of a name.

    Raises:
        ValueError: ``name`` is not in `DATA_SETS`.
    """
    if name not in DATA_SETS:
        raise ValueError(f"level={name!r}; expected one of {', '.join(DATA_SETS)}")
    return DATA_SETS[name]


def split_name(registered: str, split: str) -> str:
    """Return the registered name of another split of the same data.

    Example:
        >>> split_name("long_range_beacon_test", "val")
        'long_range_beacon_val'
    """
    return f"{registered.rpartition('_')[0]}_{split}"
