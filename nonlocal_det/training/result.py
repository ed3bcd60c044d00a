"""``result.json``: what a finished training leaves behind, its metrics and where they come from."""

import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch
from detectron2.utils import comm
from torch import nn

from nonlocal_det.configs import config_hash
from nonlocal_det.evaluation import measure_by_distance
from nonlocal_det.files import write_atomically

from . import provenance
from .step import precision_of
from .trainer import Trainer

RESULT = "result.json"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a json file whole or not at all.

    Raises:
        ValueError: a number is nan or infinite: json has none; None says "not measured".
    """
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def write_result(trainer: Trainer, commit: str, s_per_image: float | None) -> None:
    """Write ``OUTPUT_DIR/result.json`` after the final evaluation, in the main process.

    It has ``metrics`` by task (None where COCO has no number), ``seed`` (also a drawn one),
    ``commit``, ``versions``, ``hardware``, ``command``, ``config_hash``, ``data`` (sha256 of each
    annotation file), ``iterations``, ``first_iteration`` (above 0: resumed there), ``early_stop``
    (why it ended before ``SOLVER.MAX_ITER``; empty if it did not), ``inexact`` (why that did not
    continue exactly; empty if it did), ``s_per_iter`` (seconds, the mean since then without the
    first three; None for shorter runs), ``s_per_image`` (seconds, of the evaluations),
    ``memory_mib`` (the main process's peak: of the GPU, else resident; None on Windows),
    ``by_distance`` (of drawn data with distances, see `measure_by_distance`; None of other data).

    Args:
        trainer: has trained and evaluated.
        commit: of the code when it started.
        s_per_image: see `InferenceTimer`.
    """
    if not comm.is_main_process():
        return
    cfg = trainer.cfg
    times = trainer.storage.histories().get("time")
    hardware = provenance.hardware(cfg.MODEL.DEVICE, comm.get_world_size())
    dtype = precision_of(trainer._trainer).dtype
    content = {
        "metrics": {
            task: {
                name: float(value) if math.isfinite(value) else None
                for name, value in metrics.items()
            }
            for task, metrics in trainer.last_results.items()
        },
        "seed": trainer.exact_resume.seed,
        "commit": commit,
        "versions": provenance.versions(),
        "hardware": f"{hardware}, {str(dtype).removeprefix('torch.')}" if dtype else hardware,
        "command": provenance.command(),
        "config_hash": config_hash(cfg),
        "data": provenance.data_hashes((*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST)),
        "iterations": trainer.max_iter,
        "first_iteration": trainer.start_iter,
        "early_stop": trainer.early_stop,
        "inexact": trainer.exact_resume.inexact,
        "s_per_iter": times.global_avg() if times else None,
        "s_per_image": s_per_image,
        "memory_mib": _peak_memory(cfg.MODEL.DEVICE),
        "by_distance": measure_by_distance(cfg.DATASETS.TEST, Path(cfg.OUTPUT_DIR, "inference")),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    write_json(Path(cfg.OUTPUT_DIR) / RESULT, content)


def _peak_memory(device: str) -> int | None:
    """Find the peak in MiB; None where the system does not say."""
    if device.startswith("cuda"):
        return round(torch.cuda.max_memory_allocated() / 2**20)
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB on Linux
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


class InferenceTimer:
    """Times a model's calls in evaluation mode.

    Args:
        model: takes a list with an entry for each image.
    """

    def __init__(self, model: nn.Module) -> None:
        self._seconds: list[float] = []
        self._start = 0.0
        model.register_forward_pre_hook(self._before)
        model.register_forward_hook(self._after)

    @property
    def s_per_image(self) -> float | None:
        """Median seconds an image, loading and metrics apart; None before any."""
        return median(self._seconds) if self._seconds else None

    def _before(self, model: nn.Module, arguments: tuple[Any, ...]) -> None:
        self._start = time.perf_counter()

    def _after(self, model: nn.Module, arguments: tuple[Any, ...], outputs: object) -> None:
        if model.training or not arguments[0]:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._seconds.append((time.perf_counter() - self._start) / len(arguments[0]))
