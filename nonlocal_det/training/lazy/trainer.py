"""The trainer whose model, data, optimizer and schedule are the calls of a LazyConfig."""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar

import torch
from detectron2.config import CfgNode, instantiate
from detectron2.evaluation import DatasetEvaluator, DatasetEvaluators
from detectron2.solver import LRMultiplier
from omegaconf import DictConfig, OmegaConf
from torch import nn

from nonlocal_det.data import ignore_signals_in_workers
from nonlocal_det.detection import nonlocal_blocks
from nonlocal_det.training.trainer import Trainer, prepare_model

_NOT_THE_MODEL = ("seed", "output_dir", "device", "expected_results")  # as provenance.config_hash


class LazyTrainer(Trainer):
    """Our `Trainer`, whose parts come from a LazyConfig; all else is the YAML trainings'.

    Detectron2's trainer builds its parts by methods of its class, so the class has the config:
    `LazyTrainer.of` makes one. What the calls do not say it takes from `read_settings`.

    Args:
        cfg: of `read_settings`; the others as `Trainer`.
    """

    lazy: ClassVar[DictConfig]
    config_file: ClassVar[str]

    @classmethod
    def of(cls, lazy: DictConfig, config_file: str = "") -> type["LazyTrainer"]:
        """The class for a LazyConfig.

        Args:
            lazy: whole, as `load_lazy_config` returns it.
            config_file: named in messages.
        """
        made: type[LazyTrainer] = type(
            cls.__name__, (cls,), {"lazy": lazy, "config_file": config_file}
        )
        return made

    @classmethod
    def build_model(cls, cfg: CfgNode) -> nn.Module:
        """The model on its device; says which non-local blocks it has.

        Raises:
            ValueError: the config's name begins with ``nl_`` and the model has none.
        """
        model: nn.Module = instantiate(cls.lazy.model).to(cfg.MODEL.DEVICE)
        if Path(cls.config_file).name.startswith("nl_") and not nonlocal_blocks(model):
            raise ValueError(
                f"{cls.config_file} is a non-local config, but the model it built has no non-local "
                "block; undo the override that removed it, or train the baseline config"
            )
        return prepare_model(model, cfg)

    @classmethod
    def build_optimizer(cls, cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer; ``optimizer.params.model`` is the model."""
        lazy = copy.deepcopy(cls.lazy)
        lazy.optimizer.params.model = model
        optimizer: torch.optim.Optimizer = instantiate(lazy.optimizer)
        return optimizer

    @classmethod
    def build_lr_scheduler(cls, cfg: CfgNode, optimizer: torch.optim.Optimizer) -> LRMultiplier:
        """The schedule, which multiplies the optimizer's learning rates."""
        multiplier = instantiate(cls.lazy.lr_multiplier)
        return LRMultiplier(optimizer, multiplier, cfg.SOLVER.MAX_ITER)

    @classmethod
    def build_train_loader(cls, cfg: CfgNode) -> Any:
        """``dataloader.train``: exact on a resume if it is a call of `train_stream`."""
        return instantiate(cls.lazy.dataloader.train)

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> Any:
        """``dataloader.test`` for one of its data sets."""
        return ignore_signals_in_workers(instantiate(cls._testing(dataset_name).test))

    @classmethod
    def build_evaluator(
        cls, cfg: CfgNode, dataset_name: str, output_folder: str | None = None
    ) -> DatasetEvaluator:
        """``dataloader.evaluator`` for one of the data sets; may be a list of several."""
        made = instantiate(cls._testing(dataset_name).evaluator)
        if OmegaConf.is_list(made):
            return DatasetEvaluators(list(made))
        evaluator: DatasetEvaluator = made
        return evaluator

    @classmethod
    def _testing(cls, dataset_name: str) -> DictConfig:
        """As if the config named this data set alone."""
        lazy = copy.deepcopy(cls.lazy)
        lazy.dataloader.test.dataset.names = dataset_name
        return lazy.dataloader

    @classmethod
    def config_text(cls, cfg: CfgNode) -> str:
        """The whole LazyConfig as json; calls by their names."""
        return _as_json(OmegaConf.to_container(cls.lazy))

    @classmethod
    def config_hash(cls, cfg: CfgNode) -> str:
        """Twelve hexadecimal digits that all trainings with the same calls share."""
        content = OmegaConf.to_container(cls.lazy)
        assert isinstance(content, dict)
        for key in _NOT_THE_MODEL:
            content["train"].pop(key, None)
        return hashlib.sha256(_as_json(content).encode()).hexdigest()[:12]


def _as_json(content: Any) -> str:
    return json.dumps(content, indent=1, sort_keys=True, default=_name)


def _name(value: Any) -> str:
    """Of a function or class; of anything else, as python shows it."""
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)
