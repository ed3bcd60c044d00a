"""The checkpoints of a training's folder: which is the last whole one, which may go."""

import logging
import re
from pathlib import Path

from nonlocal_det.files import Sink, write_atomically

from .errors import CheckpointError, DamagedError
from .reading import read_checkpoint

logger = logging.getLogger("nonlocal_det")

LAST = "last_checkpoint"
"""The file that names the last checkpoint, as Detectron2 does."""
BEST = "model_best"
"""The checkpoint of the best metric. It is to be used and not to be continued from: it may be saved
after the last iteration, where Detectron2 counts one more."""
AVERAGED = "model_ema_final"
"""The averaged weights at the end of a training: a model, and nothing of its training."""
TO_USE = (BEST, AVERAGED)
"""Checkpoints that no training continues from."""
DAMAGED = ".damaged"
"""What is added to the name of a checkpoint that is set aside."""
_NUMBERED = re.compile(r"model_\d{7,}\.pth")


def checkpoints(folder: Path) -> list[Path]:
    """The ``model_*.pth`` of a folder but `TO_USE`, the one saved last first."""
    found = [path for path in folder.glob("model_*.pth") if path.stem not in TO_USE]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


def has_checkpoint(folder: Path) -> bool:
    """Whether a training has saved here, even if nothing of it can be used any more."""
    return (
        (folder / LAST).is_file()
        or bool(checkpoints(folder))
        or any(folder.glob(f"model_*.pth{DAMAGED}"))
    )


def write_last_checkpoint(folder: Path, name: str) -> None:
    """Write the name of the last checkpoint, once its file is safe.

    Raises:
        OSError: it cannot be written; the name before is there still.
    """

    def write(sink: Sink) -> None:
        sink.write(name.encode())

    write_atomically(folder / LAST, write)


def last_whole(folder: Path, *, trust: bool = False) -> Path:
    """Find the last checkpoint that is what was written; damaged ones after it are set aside.

    Args:
        folder: of the training.
        trust: as `read_checkpoint`.

    Raises:
        FileNotFoundError: there is none.
        CheckpointError: none is whole.
        RefusedError: the last one holds more than data; it is not set aside.
    """
    candidates = checkpoints(folder)
    tag = folder / LAST
    name = tag.read_text(errors="replace").strip() if tag.is_file() else ""
    named = [path for path in candidates if path.name == name]
    if not candidates and not any(folder.glob(f"model_*.pth{DAMAGED}")):
        what = f"names {name!r}" if name else "is empty"
        raise FileNotFoundError(
            f"{tag} {what} and there is no checkpoint beside it; remove it to start anew"
        )
    if not named and candidates:
        what = f"names {name!r}, which is not there" if name else "is empty or missing"
        logger.warning(f"{tag} {what}; continuing from {candidates[0].name}")
    for path in named + [path for path in candidates if path not in named]:
        if _is_whole(path, trust):
            return path
    aside = sorted(path.name for path in folder.glob(f"model_*.pth{DAMAGED}"))
    raise CheckpointError(
        f"no checkpoint in {folder} is whole ({', '.join(aside)}): bring one back from a copy, or "
        "start anew in another OUTPUT_DIR or without --resume"
    )


def _is_whole(path: Path, trust: bool) -> bool:
    """Whether it is; if not, it has another name afterwards."""
    try:
        read_checkpoint(path, trust=trust)
    except DamagedError as error:
        aside = path.with_name(path.name + DAMAGED)
        path.replace(aside)
        logger.warning(f"{error}; set aside as {aside.name}; taking the one before it")
        return False
    return True


def prune(folder: Path, keep: int, newest: Path) -> list[Path]:
    """Remove numbered checkpoints but the last ones; the final and the best one stay.

    Args:
        folder: of the training.
        keep: how many stay, ``newest`` among them.
        newest: the one just written, which stays whatever the clock says.

    Returns:
        What was removed.
    """
    numbered = [path for path in checkpoints(folder) if _NUMBERED.fullmatch(path.name)]
    if newest in numbered:
        numbered.remove(newest)
        keep -= 1
    for path in numbered[keep:]:
        path.unlink(missing_ok=True)
    return numbered[keep:]
