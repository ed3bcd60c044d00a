"""A resumed training is the training it resumes: the same images, the same random numbers."""

import logging
import os
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import HookBase, hooks
from detectron2.utils import comm

from nonlocal_det.checkpoint import has_checkpoint
from nonlocal_det.configs import NOT_THE_MODEL, config_leaves
from nonlocal_det.data import STEP, TrainStream, seed_everything

from .metrics_history import collect_scalars, restore_scalars, trim_metrics
from .provenance import data_hashes

logger = logging.getLogger("nonlocal_det")
ORDER = (
    *("SOLVER.IMS_PER_BATCH", "DATASETS.TRAIN"),
    *("DATALOADER.SAMPLER_TRAIN", "DATALOADER.ASPECT_RATIO_GROUPING"),
)
"""Keys that decide which images a batch has."""
MARK = "continued_by_torchrun"  # in OUTPUT_DIR: the checkpoints are of the training that runs


class ExactResume(HookBase):
    """Makes what a training draws a function of its seed, and its position a few numbers.

    The generators of python, numpy and torch are seeded at every step from the seed, the iteration
    and the process; the stream of images continues where the checkpoint was made. Nothing depends
    on what a process has drawn before, so no state of generators is saved. First of the hooks.

    What the user changes in the config for a resumed training is applied, logged, and named in
    `inexact`; torch's optimizer would take its old settings from the checkpoint.

    Args:
        cfg: a full config; ``SEED`` below 0: drawn once, and kept by the checkpoints.
        optimizer: as the config has built it.

    Attributes:
        seed: of the training.
        inexact: why this training is not what one without interruption would have been.
    """

    def __init__(self, cfg: CfgNode, optimizer: torch.optim.Optimizer) -> None:
        self.cfg = cfg
        self._settings = [
            {key: value for key, value in group.items() if key != "params"}
            for group in optimizer.param_groups
        ]
        self.seed = cfg.SEED
        self.inexact: list[str] = []
        self._saved: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        """Return the seed, the images given out, what their order depends on, logged scalars."""
        return {
            "seed": self.seed,
            "images": [stream.images for stream in self._streams()],
            "order": self._order(),
            "config": self.cfg.dump(),
            "data": data_hashes(self.cfg.DATASETS.TRAIN) if comm.is_main_process() else {},
            "inexact": list(self.inexact),
            "scalars": collect_scalars(getattr(self.trainer, "storage", None)),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Keep it until the training begins."""
        self._saved = state

    def before_train(self) -> None:
        """Set the streams to where they were, or begin them."""
        start = self.trainer.start_iter
        saved = self._saved if start > 0 else {}
        self.inexact = list(saved.get("inexact", []))
        self.seed = self._agree_on_seed(saved.get("seed", -1))
        images = saved.get("images") or [start * self.cfg.SOLVER.IMS_PER_BATCH]
        streams = self._streams()
        for stream, given in zip(streams, images + [0] * len(streams), strict=False):
            stream.continue_from(self.seed, given)
        if start == 0:
            return
        settings = self._changed_settings(saved)
        if any(line.startswith("SOLVER.") for line in settings):
            self._apply_settings()
        lines = self._changed_order(saved) + settings
        changes = [f"from iteration {start} {line}" for line in lines]
        for change in changes:
            logger.warning(f"the resumed training is not exactly the one it resumes: {change}")
        if not changes:
            given = self.trainer.data_loader.images
            logger.info(f"the training goes on exactly: {given} images have been given out")
        self.inexact += changes
        written = -1
        if comm.is_main_process():
            written = trim_metrics(Path(self.cfg.OUTPUT_DIR) / "metrics.json", start - 1)
        restore_scalars(self.trainer.storage, saved.get("scalars", {}), written)

    def before_step(self) -> None:
        """Seed the step."""
        seed_everything(self.seed, STEP, self.trainer.iter, comm.get_rank())

    def _streams(self) -> list[TrainStream]:
        """Return the training's, and that of the precise batch norm."""
        precise = [hook for hook in self.trainer._hooks if isinstance(hook, hooks.PreciseBN)]
        loaders = [getattr(hook, "_data_loader", None) for hook in precise]
        loaders.insert(0, self.trainer.data_loader)
        return [loader for loader in loaders if isinstance(loader, TrainStream)]

    def _agree_on_seed(self, saved: int) -> int:
        seed: int = self.cfg.SEED
        if saved < 0:
            return seed if seed >= 0 else comm.shared_random_seed()
        if seed >= 0 and seed != saved:
            logger.warning(
                f"SEED={seed}, but the training that is resumed has {saved}, and keeps it"
            )
        return saved

    def _order(self) -> dict[str, Any]:
        streams = self._streams()
        return {
            "processes": comm.get_world_size(),
            "training images": len(streams[0].records) if streams else None,
        }

    def _changed_order(self, saved: dict[str, Any]) -> list[str]:
        """Name what changes the images or the random numbers, beside the config."""
        loader = self.trainer.data_loader
        if not isinstance(loader, TrainStream):
            kind = type(loader).__name__
            return [f"the {kind} starts its images anew; a TrainStream would go on"]
        if "order" not in saved:
            return ["the order of images is another: the checkpoint does not have it"]
        effect = "proposals are sampled by other random numbers, sums rounded otherwise"
        if self.cfg.DATALOADER.ASPECT_RATIO_GROUPING:
            effect += ", and a few images waiting for a batch of their shape are lost or repeated"
        effects = {"processes": effect, "training images": "the order of images is another"}
        before = saved["order"]
        return [
            f"{key} is {value}, not {before.get(key)}: {effects[key]}"
            for key, value in self._order().items()
            if value != before.get(key)
        ]

    def _changed_settings(self, saved: dict[str, Any]) -> list[str]:
        """Name the keys, and the data, that are not those of the checkpoint."""
        if "config" not in saved:
            return []
        before = dict(config_leaves(CfgNode.load_cfg(saved["config"])))
        now = dict(config_leaves(CfgNode.load_cfg(self.cfg.dump())))
        changes = [
            f"{key} is {now[key]}, not {before[key]}"
            + (": the order of images is another" if key in ORDER else "")
            for key in now  # a later version may have keys that the checkpoint has not
            if key in before and _decides_training(key) and now[key] != before[key]
        ]
        # one process reads the files; state_dict is called in that one only, so it cannot gather
        hashes = data_hashes(self.cfg.DATASETS.TRAIN) if comm.is_main_process() else {}
        old, new = saved.get("data", {}), comm.all_gather(hashes)[0]
        changes += [
            f"the annotations of {name!r} are another file"
            for name in new
            if name in old and "-" not in (old[name], new[name]) and old[name] != new[name]
        ]
        return changes

    def _apply_settings(self) -> None:
        """Give the optimizer the config's settings, and the rate that its schedule has here."""
        trainer = self.trainer
        groups, scheduler = trainer.optimizer.param_groups, trainer.scheduler
        for group, settings in zip(groups, self._settings, strict=True):
            group.update(settings)
        scheduler.base_lrs = [settings["initial_lr"] for settings in self._settings]
        for group, rate in zip(groups, scheduler.get_lr(), strict=True):
            group["lr"] = rate


def _decides_training(key: str) -> bool:
    """Tell whether a key changes what a resumed training computes up to its old end."""
    later = key in ("SOLVER.MAX_ITER", "SOLVER.STEPS", "MODEL.WEIGHTS", *NOT_THE_MODEL)
    testing = key.startswith("TEST.") and "PRECISE_BN" not in key
    return not (later or testing or key.endswith("_TEST"))


def draw_seed(cfg: CfgNode, resume: bool) -> CfgNode:
    """Draw a ``SEED`` below 0 before anything depends on it, so that the run can be repeated.

    Args:
        cfg: a full config; not changed.
        resume: by the user; a checkpoint that is there is continued, with its seed.
    """
    if cfg.SEED >= 0:
        return cfg
    resume = resume or os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
    if any(comm.all_gather(resume and has_checkpoint(Path(cfg.OUTPUT_DIR)))):
        return cfg
    cfg = cfg.clone()
    cfg.defrost()
    cfg.SEED = comm.shared_random_seed()
    cfg.freeze()
    return cfg


def was_restarted(folder: Path) -> bool:
    """Tell whether torchrun has started the processes again (``--max-restarts``).

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
