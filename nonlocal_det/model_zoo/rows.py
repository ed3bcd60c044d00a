"""The zoo as data: zoo.json has a row a model, of which some fields are computed.

A row has ``config``, ``baseline`` (its twin's config or null), ``task``, ``note``;
``config_sha256`` and ``cost``, which costs.py computes; ``paper`` (the paper's numbers alone);
``measured`` (ours alone, see measured.py; or null); ``weights`` (``name``, ``url``, ``sha256``; or
null); perhaps ``figures`` (by what they show, their paths from the project's root).
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode

from nonlocal_det.configs import config_names, find_config, load_config

ZOO = Path(__file__).with_name("zoo.json")
Row = dict[str, Any]

_NOT_THE_MODEL = {"": ("OUTPUT_DIR", "VERSION"), "TEST": ("EXPECTED_RESULTS",)}
# Keys of MODEL.NONLOCAL that came after results had been recorded, with the values that leave a
# model as it was: at these they do not change its hash.
_CAME_LATER = {"OPERATION": "nonlocal"}


def load_rows() -> list[Row]:
    """The rows of zoo.json; a baseline comes before its non-local rows."""
    rows: list[Row] = json.loads(ZOO.read_text())
    return rows


def as_text(rows: Sequence[Row]) -> str:
    """The content of zoo.json: a line a row, so that a difference shows the row that changed."""
    return "[\n " + ",\n ".join(json.dumps(row, allow_nan=False) for row in rows) + "\n]\n"


def get_row(name: str) -> Row:
    """The row of a config.

    Raises:
        FileNotFoundError: there is no config of that name; suggests the nearest.
        ValueError: the config has no row.
    """
    find_config(name)
    for row in load_rows():
        if row["config"] == name.removesuffix(".yaml"):
            return row
    raise ValueError(f"config {name!r} has no row in zoo.json; the zoo has {config_names()}")


def config_sha256(name: str) -> str:
    """The sha256 of what a packaged config says, equal under every Detectron2.

    Hashed is the json, with sorted keys, of the file merged over its ``_BASE_`` files, and for a
    non-local config the whole node ``MODEL.NONLOCAL``. Not hashed are Detectron2's own defaults,
    which differ between its versions, and what does not change the model or its training:
    ``OUTPUT_DIR``, ``VERSION`` and ``TEST.EXPECTED_RESULTS``.

    Args:
        name: of a packaged config.

    Raises:
        FileNotFoundError: there is none of that name; suggests the nearest.
    """
    content = CfgNode.load_yaml_with_base(find_config(name))
    if "NONLOCAL" in content["MODEL"]:
        settings = dict(load_config(name).MODEL.NONLOCAL).items()
        content["MODEL"]["NONLOCAL"] = {
            key: value for key, value in settings if (key, value) not in _CAME_LATER.items()
        }
    for node, keys in _NOT_THE_MODEL.items():
        for key in keys:
            (content.get(node, {}) if node else content).pop(key, None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
