"""The named data sets: a level, the size of its images, and the backbone that it is for."""

import math
from dataclasses import dataclass


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
