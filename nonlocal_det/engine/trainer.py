"""Detectron2's default trainer with our evaluator and test-time augmentation, on CPU or GPU."""

import logging
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import DefaultTrainer, defaults, hooks
from detectron2.evaluation import DatasetEvaluator
from detectron2.modeling import GeneralizedRCNNWithTTA
from detectron2.utils import comm
from torch import nn

from nonlocal_det.evaluation import build_evaluator
from nonlocal_det.modeling import nonlocal_blocks

from .timing import InferenceTimer

logger = logging.getLogger("nonlocal_det")


class Trainer(DefaultTrainer):
    """Detectron2's `DefaultTrainer` for this project's models.

    Args:
        cfg: a full config, as `load_config` returns it.
    """

    def __init__(self, cfg: CfgNode) -> None:
        with _ddp_for(torch.device(cfg.MODEL.DEVICE)):
            super().__init__(cfg)
        self.inference_timer = InferenceTimer(self.model)
        if cfg.TEST.AUG.ENABLED:
            self.register_hooks(
                [hooks.EvalHook(0, lambda: self.test_with_tta(self.cfg, self.model))]
            )

    @classmethod
    def build_model(cls, cfg: CfgNode) -> nn.Module:
        """Build the model and say which non-local blocks it has."""
        model = super().build_model(cfg)
        blocks = nonlocal_blocks(model)
        logger.info(f"{len(blocks)} non-local blocks: {', '.join(blocks) or 'a baseline'}")
        return model

    @classmethod
    def build_evaluator(
        cls, cfg: CfgNode, dataset_name: str, output_folder: str | None = None
    ) -> DatasetEvaluator:
        """COCO's metrics for what the data set has."""
        return build_evaluator(cfg, dataset_name, output_folder)

    @classmethod
    def test_with_tta(cls, cfg: CfgNode, model: nn.Module) -> dict[str, Any]:
        """Evaluate with test-time augmentation; the keys of the results end in ``_TTA``."""
        logger.info("Evaluating with test-time augmentation (TEST.AUG)")
        folder = os.path.join(cfg.OUTPUT_DIR, "inference_TTA")
        evaluators = [cls.build_evaluator(cfg, name, folder) for name in cfg.DATASETS.TEST]
        results = cls.test(cfg, GeneralizedRCNNWithTTA(cfg, model), evaluators)
        return OrderedDict((f"{key}_TTA", value) for key, value in results.items())

    @property
    def last_results(self) -> dict[str, Any]:
        """The metrics of the last evaluation; empty before the first, and in other processes."""
        return getattr(self, "_last_eval_results", None) or {}

    def resume_or_load(self, resume: bool = True) -> None:
        """Continue from the last checkpoint, or start from ``MODEL.WEIGHTS``; say which."""
        if resume and not self.checkpointer.has_checkpoint():
            logger.warning(
                f"--resume: there is no checkpoint in {self.cfg.OUTPUT_DIR}; starting at iteration "
                f"0 from MODEL.WEIGHTS={self.cfg.MODEL.WEIGHTS!r}"
            )
        if resume:
            _name_last_checkpoint(Path(self.cfg.OUTPUT_DIR))
        super().resume_or_load(resume=resume)


def _name_last_checkpoint(folder: Path) -> None:
    """Write the name that a process did not come to write when it was killed.

    Detectron2 writes it after the checkpoint, so the newest checkpoint is whole if the name's file
    is empty; it would take the folder for the checkpoint.

    Raises:
        FileNotFoundError: the file is empty and there is no checkpoint.
    """
    tag = folder / "last_checkpoint"
    if comm.is_main_process() and tag.is_file() and not tag.read_text().strip():
        checkpoints = sorted(folder.glob("model_*.pth"), key=lambda path: path.stat().st_mtime)
        if not checkpoints:
            raise FileNotFoundError(
                f"{tag} is empty and there is no model_*.pth beside it; remove it to start anew"
            )
        newest = checkpoints[-1]
        logger.warning(f"{tag} is empty; continuing from {newest.name}")
        tag.write_text(newest.name)
    comm.synchronize()


@contextmanager
def _ddp_for(device: torch.device) -> Iterator[None]:
    """Let Detectron2 wrap a model that lies on the CPU: torch takes no device ids there."""
    original = defaults.create_ddp_model
    if device.type == "cpu":
        defaults.create_ddp_model = partial(original, device_ids=None)
    try:
        yield
    finally:
        defaults.create_ddp_model = original
