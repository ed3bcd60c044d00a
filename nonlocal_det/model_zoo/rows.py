"""The zoo as data: zoo.json has a row a model, of which some fields are computed.

A row has ``config``, ``baseline`` (that model's config or null), perhaps ``control`` (of equal
cost, without reach), ``task``, ``note``, perhaps ``questions``; ``config_hash`` and ``cost``, which
`make zoo` computes; ``paper`` (only the paper's numbers); ``measured`` (only ours, see
`nonlocal_det.experiments.zoo_rows`; or null); ``weights`` (``name``, ``url``, ``sha256``; or null).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nonlocal_det.configs import config_names, find_config

ZOO = Path(__file__).with_name("zoo.json")
Row = dict[str, Any]


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
