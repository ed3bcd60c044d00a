"""The learning rates that were chosen for configs, as data: learning_rates.json, a line a config.

An entry has ``config``, ``chosen``, ``tried`` (the metric on the validation split by rate, in AP
points; null: diverged, or nothing was detected), ``metric``, ``seed``, ``data`` (names and sha256
of the split's annotations), ``overrides`` (KEY VALUE pairs), ``config_sha256``, ``commit``,
``hardware`` and ``command``.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .rows import as_text

LEARNING_RATES = Path(__file__).with_name("learning_rates.json")
Entry = dict[str, Any]


def load_learning_rates(path: Path = LEARNING_RATES) -> dict[str, Entry]:
    """The entries of a file by config.

    Args:
        path: of the file; the package's by default.

    Returns:
        Empty where there is no such file yet.

    Raises:
        ValueError: the file is not a list of entries.
    """
    if not path.is_file():
        return {}
    try:
        return {entry["config"]: entry for entry in json.loads(path.read_text())}
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} is not a list of chosen learning rates ({error!r}); move it away, or restore "
            "it, and choose them with --choose-lr"
        ) from error


def save_learning_rates(entries: Iterable[Entry], path: Path = LEARNING_RATES) -> None:
    """Put entries into a file in the place of those of the same configs; the others stay.

    Args:
        entries: new ones.
        path: of the file, made if absent.
    """
    merged = load_learning_rates(path) | {entry["config"]: entry for entry in entries}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_text([merged[config] for config in sorted(merged)]))
