"""Check the data of a run before its first iteration, once on each machine."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from detectron2.config import CfgNode
from detectron2.utils import comm

from nonlocal_det.data import (
    check_registered,
    clean_unregistered,
    forget_contents,
    replace_json,
)

T = TypeVar("T")
CLEAN = "clean_data"
"""The folder in OUTPUT_DIR of the copies that ``--allow-bad-data`` writes."""


def check_data(cfg: CfgNode, *, train: bool, allow_bad: bool) -> None:
    """Check the data sets of a config; refuse bad ones, or replace their annotation files.

    Args:
        cfg: a full config.
        train: a training is to come, not only an evaluation.
        allow_bad: leave out what is bad: ``OUTPUT_DIR/clean_data`` gets annotation files without.

    Raises:
        ValueError: the data is bad; in all processes.
    """
    names = cfg.DATASETS.TRAIN if train else ()
    folder = Path(cfg.OUTPUT_DIR) / CLEAN if allow_bad else None
    clean = once_per_machine(lambda: check_registered(cfg, names, cfg.DATASETS.TEST, folder))
    forget_contents()
    for name, path in clean.items():
        replace_json(name, path)


def allow_own_data(cfg: CfgNode, entries: Sequence[Sequence[str]]) -> list[list[str]]:
    """Replace what is bad in ``--coco-data``, before it is registered.

    Args:
        cfg: says which parts of the data are used.
        entries: name, json and images of each.

    Returns:
        The entries, with the clean copies where one is needed.

    Raises:
        ValueError: bad data cannot be left out.
    """
    folder = Path(cfg.OUTPUT_DIR) / CLEAN
    return once_per_machine(lambda: [clean_unregistered(cfg, entry, folder) for entry in entries])


def once_per_machine(work: Callable[[], T]) -> T:
    """Let the first process of each machine work, and all of the machine's have the result.

    Raises:
        ValueError: it raised one, or a FileNotFoundError, on some machine; in all processes, so
            that none waits for the others.
    """
    result: T | None = None
    error = ""
    if comm.get_local_rank() == 0:
        try:
            result = work()
        except (ValueError, FileNotFoundError) as raised:
            if comm.get_world_size() == 1:
                raise
            error = str(raised)
    everyone = comm.all_gather((result, error))
    for _, message in everyone:
        if message:
            raise ValueError(message)
    found: T = everyone[comm.get_rank() - comm.get_local_rank()][0]
    return found
