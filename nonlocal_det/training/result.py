"""``result.json``: what a finished training leaves behind, its metrics and where they come from."""

import json
import math
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.utils import comm

from nonlocal_det.evaluation import accuracy_by_distance
from nonlocal_det.synthetic.long_range import find_set, set_of

from . import provenance
from .step import precision_of
from .trainer import Trainer

RESULT = "result.json"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file that is there whole or not at all, also when the process is killed.

    Raises:
        ValueError: a number is nan or infinite: json has none; None says "not measured".
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    os.replace(scratch, path)


def write_result(trainer: Trainer, commit: str) -> None:
    """Write ``OUTPUT_DIR/result.json`` after the final evaluation, in the main process alone.

    Args:
        trainer: has trained and evaluated.
        commit: of the code when it started.
    """
    if comm.is_main_process():
        write_json(Path(trainer.cfg.OUTPUT_DIR) / RESULT, describe_result(trainer, commit))


def describe_result(trainer: Trainer, commit: str) -> dict[str, Any]:
    """The content of ``result.json``.

    Returns:
        ``metrics`` by task (None where COCO has no number), ``seed``, ``commit``, ``versions``,
        ``hardware``, ``command``, ``config_hash``, ``data`` (sha256 of each
        annotation file), ``iterations``, ``first_iteration`` (above 0: resumed there), ``inexact``
        (why that did not continue exactly; empty if it did),
        ``s_per_iter`` (seconds, the mean since then without the first three; None for shorter
        runs), ``s_per_image`` (seconds, of the evaluations), ``memory_mib`` (the main process's
        peak: of the GPU, else resident), ``by_distance`` (of long-range data, see
        `accuracy_by_distance`; None of other data).
    """
    cfg = trainer.cfg
    times = trainer.storage.histories().get("time")
    return {
        "metrics": {
            task: {name: _finite(value) for name, value in metrics.items()}
            for task, metrics in trainer.last_results.items()
        },
        "seed": cfg.SEED,
        "commit": commit,
        "versions": provenance.versions(),
        "hardware": _hardware(trainer),
        "command": provenance.command(),
        "config_hash": trainer.config_hash(cfg),
        "data": provenance.data_hashes((*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST)),
        "iterations": cfg.SOLVER.MAX_ITER,
        "first_iteration": trainer.start_iter,
        "inexact": trainer.exact_resume.inexact,
        "s_per_iter": times.global_avg() if times else None,
        "s_per_image": trainer.inference_timer.s_per_image,
        "memory_mib": round(_peak_memory(cfg.MODEL.DEVICE)),
        "by_distance": _by_distance(cfg),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _hardware(trainer: Trainer) -> str:
    """With the dtype of mixed precision, where the training was in one."""
    found = provenance.hardware(trainer.cfg.MODEL.DEVICE, comm.get_world_size())
    dtype = precision_of(trainer._trainer).dtype
    return f"{found}, {str(dtype).removeprefix('torch.')}" if dtype else found


def _by_distance(cfg: CfgNode) -> dict[str, Any] | None:
    """Of the evaluation that has just ended."""
    name = set_of(cfg.DATASETS.TEST[0]) if len(cfg.DATASETS.TEST) == 1 else None
    if name is None:
        return None
    annotations = Path(MetadataCatalog.get(cfg.DATASETS.TEST[0]).json_file)
    found = Path(cfg.OUTPUT_DIR, "inference", "coco_instances_results.json")
    return accuracy_by_distance(annotations, found, find_set(name).edges)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _peak_memory(device: str) -> float:
    """MiB."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
