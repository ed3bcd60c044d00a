"""The zoo as data: zoo.json has a row a model, of which some fields are computed.

A row has ``config``, ``baseline`` (that model's config or null), perhaps ``control`` (of equal
cost, without reach), ``task`` (a section of the zoo), ``note``, ``suites`` (names of `SUITES` that
compare it with its baseline and control), perhaps ``questions``; ``config_hash`` and ``cost``,
which `make zoo` computes; ``paper`` (only the paper's numbers, in the order of the task's metrics);
``measured`` (only ours, see `nonlocal_det.experiments.zoo_rows`; or null); ``weights`` (``name``,
``url``, ``sha256``; or null).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode

from nonlocal_det.configs import config_names, find_config

ZOO = Path(__file__).with_name("zoo.json")
Row = dict[str, Any]

_AP = ("AP", "AP50", "AP75")  # as the paper's tables have them


@dataclass(frozen=True)
class Task:
    """What of a model's results is compared.

    Attributes:
        key: of the evaluator's results.
        metrics: names in them, as the paper's tables have them; the first one decides.
        needs: a config key that is true of models with this task; "": all of the suite.
        lower_is_better: of the first metric.
    """

    key: str
    metrics: tuple[str, ...]
    needs: str = ""
    lower_is_better: bool = False

    def is_of(self, cfg: CfgNode) -> bool:
        """Tell whether a config's model has this task."""
        value: Any = cfg
        for part in filter(None, self.needs.split(".")):
            value = value[part]
        return bool(value)


TASKS = {
    "box": Task("bbox", _AP),
    "mask": Task("segm", _AP, needs="MODEL.MASK_ON"),
    "keypoint": Task("keypoints", _AP, needs="MODEL.KEYPOINT_ON"),
    "clip": Task("video", ("top1", "top5")),
    "actions": Task("video", ("mAP",)),
    "relation": Task("video", ("log_loss", "top1"), lower_is_better=True),
}


@dataclass(frozen=True)
class SuiteKind:
    """What the models of a suite have in common.

    Attributes:
        tasks: keys of `TASKS`; of several that a model has, the last one chooses learning rates.
        schedules: COCO's schedules apply; else the configs have their own.
        val: the tested data has a split named val, on which learning rates can be chosen.
    """

    tasks: tuple[str, ...]
    schedules: bool = False
    val: bool = False


SUITES = {
    "table5": SuiteKind(("box", "mask"), schedules=True),
    "table6": SuiteKind(("keypoint",), schedules=True),
    "quick": SuiteKind(("box", "mask", "keypoint")),
    "long-range": SuiteKind(("box", "keypoint"), val=True),
    **{f"table2{letter}": SuiteKind(("clip",)) for letter in "abcdefg"},
    "kinetics": SuiteKind(("clip",)),
    "charades": SuiteKind(("actions",)),
    "video-quick": SuiteKind(("clip",)),
    "video-reach": SuiteKind(("relation",), val=True),
}
"""The suites of `tools/reproduce.py`: the paper's tables, and drawn data."""

SECTIONS = (
    ("mask", "Object detection and instance segmentation, COCO", ("box", "mask")),
    ("keypoint", "Human keypoints, COCO", ("keypoint",)),
    ("quick", "The drawn mini-COCO, two CPU cores", ("box", "mask", "keypoint")),
    ("kinetics", "Video classification, Kinetics-400", ("clip",)),
    ("charades", "Video classification with several labels, Charades", ("actions",)),
    ("video-quick", "The drawn moving clips, two CPU cores", ("clip",)),
)
"""Of model_zoo.md: the rows' ``task``, the title, and the tasks whose numbers it shows."""


@dataclass(frozen=True)
class DrawnData:
    """Drawn data whose rows are measured by distance, in a document of their own.

    Attributes:
        task: of its rows.
        document: its path from the root, with a marked table for each baseline.
        title, about: of its section in model_zoo.md.
    """

    task: str
    document: str
    title: str
    about: str


DRAWN = (
    DrawnData(
        "long-range",
        "docs/long_range.md",
        "The drawn long-range data",
        "Objects that only something far away tells apart, with controls of equal cost and "
        "accuracy against\ndistance",
    ),
    DrawnData(
        "video-reach",
        "docs/video_reach.md",
        "The drawn flash clips",
        "Clips whose class is the relation of two flashes that are frames apart, with controls of\n"
        "equal cost and log-loss against the gap",
    ),
)


def load_rows() -> list[Row]:
    """Load the rows of zoo.json; a baseline comes before its non-local rows."""
    rows: list[Row] = json.loads(ZOO.read_text())
    return rows


def rows_as_text(rows: Sequence[Row]) -> str:
    """Write rows as zoo.json has them: a line a row, so that a diff shows the row that changed."""
    return "[\n " + ",\n ".join(json.dumps(row, allow_nan=False) for row in rows) + "\n]\n"


def get_row(name: str) -> Row:
    """Find the row of a config.

    Raises:
        FileNotFoundError: there is no config of that name; suggests the nearest.
        ValueError: the config has no row.
    """
    find_config(name)
    for row in load_rows():
        if row["config"] == name.removesuffix(".yaml"):
            return row
    raise ValueError(f"config {name!r} has no row in zoo.json; the zoo has {config_names()}")
