"""The LazyConfig twin of a YAML config, made from it: the two cannot drift apart."""

from typing import NamedTuple

from detectron2.config import get_cfg
from omegaconf import DictConfig

from nonlocal_det.configs import load_config
from nonlocal_det.detection.config import add_nonlocal_config
from nonlocal_det.detection.lazy import ReadConfig, lazy_model

from .data import dataloader_node
from .solver import optimizer_node, schedule_node


class Twin(NamedTuple):
    """The five parts of a LazyConfig, in the order of their names."""

    dataloader: DictConfig
    lr_multiplier: DictConfig
    model: DictConfig
    optimizer: DictConfig
    train: DictConfig


def twin(config_file: str) -> Twin:
    """The calls that a YAML config stands for, to be read and changed one by one.

    Paths and calls are those of Detectron2's own LazyConfigs. Every key of the YAML config has gone
    into a call, or has the value that Detectron2 gives it anyway.

    Args:
        config_file: a path, or the name of a packaged config.

    Raises:
        FileNotFoundError: no such config; suggests near names.
        ValueError: a key has a value of which there is no LazyConfig form here; says which.

    Example:
        >>> dataloader, lr_multiplier, model, optimizer, train = twin("nl_mask_rcnn_R50")
        >>> model.backbone.bottom_up.after_blocks
        [[], [], [-2], []]
        >>> model.roi_heads.num_classes = 5  # as in the file of a data set of one's own
    """
    full = load_config(config_file, [])
    cfg = ReadConfig(full)
    made = Twin(
        dataloader=dataloader_node(cfg),
        lr_multiplier=schedule_node(cfg),
        model=lazy_model(cfg),
        optimizer=optimizer_node(cfg),
        train=_train_node(cfg),
    )
    default = get_cfg()
    add_nonlocal_config(default)
    default.VERSION = full.VERSION
    lost = cfg.unread(default)
    if lost:
        raise ValueError(
            f"{config_file}: there is no LazyConfig form here of "
            f"{', '.join(f'{key}={value!r}' for key, value in lost.items())}; leave these keys at "
            "Detectron2's defaults and change the calls, or train with tools/train_net.py"
        )
    return made


def _train_node(cfg: ReadConfig) -> DictConfig:
    """What Detectron2's trainer takes from a config, as its own LazyConfigs name it."""
    train = {
        "output_dir": cfg.OUTPUT_DIR,
        "init_checkpoint": cfg.MODEL.WEIGHTS,
        "max_iter": cfg.SOLVER.MAX_ITER,
        "amp": {"enabled": cfg.SOLVER.AMP.ENABLED},
        "checkpointer": {"period": cfg.SOLVER.CHECKPOINT_PERIOD},
        "eval_period": cfg.TEST.EVAL_PERIOD,
        "device": cfg.MODEL.DEVICE,
        "seed": cfg.SEED,
        "cudnn_benchmark": cfg.CUDNN_BENCHMARK,
        "expected_results": cfg.TEST.EXPECTED_RESULTS,
    }
    return DictConfig(train, flags={"allow_objects": True})
