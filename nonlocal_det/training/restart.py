"""Whether torchrun has started a training's processes again (``--max-restarts``)."""

import logging
import os
from pathlib import Path

from detectron2.utils import comm

from nonlocal_det.checkpoint import has_checkpoint

MARK = "continued_by_torchrun"  # in OUTPUT_DIR: the checkpoints are of the training that runs
logger = logging.getLogger("nonlocal_det")


def was_restarted(folder: Path) -> bool:
    """Whether the processes must continue what torchrun's first start of them has begun.

    All processes ask together: torchrun counts on each machine for itself.

    Args:
        folder: ``OUTPUT_DIR``, which is there.

    Raises:
        ValueError: the folder holds the checkpoints of an earlier training, which a restart would
            take for this one's; also in the restart that follows.
    """
    if os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") == "0":
        return False
    counts = comm.all_gather(int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")))
    restarted = max(counts) > 0
    foreign = False
    if comm.is_main_process():
        if not restarted:
            (folder / MARK).unlink(missing_ok=True)
        foreign = has_checkpoint(folder) and not (folder / MARK).is_file()
        if not foreign:
            (folder / MARK).touch()
    if comm.all_gather(foreign)[0]:
        raise ValueError(
            f"OUTPUT_DIR={str(folder)!r} holds an earlier training's checkpoints, from which this "
            "one would continue when torchrun restarts it (--max-restarts); give --resume to "
            "continue that one, or another OUTPUT_DIR"
        )
    if restarted:
        logger.info(f"torchrun has restarted the processes ({max(counts)}): continuing")
    return restarted
