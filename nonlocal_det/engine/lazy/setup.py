"""From a command line to a checked LazyConfig."""

import argparse
from pathlib import Path

import torch
from detectron2.config import LazyConfig
from detectron2.engine import default_argument_parser
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn

from nonlocal_det.engine.checks import check_present
from nonlocal_det.model_zoo import find_lazy_config
from nonlocal_det.modeling import nonlocal_blocks

_PARTS = ("model", "dataloader", "optimizer", "lr_multiplier", "train")

EXAMPLES = """
A lazy config is a Python program: it runs as it is loaded.

examples:
  lazyconfig_train_net.py --config-file configs/lazy/nl_mask_rcnn_R50.py --num-gpus 8
  lazyconfig_train_net.py --config-file configs/lazy/nl_mask_rcnn_R50.py --eval-only \\
      train.init_checkpoint=model.pth
  lazyconfig_train_net.py --config-file configs/lazy/nl_mask_rcnn_R50.py optimizer.lr=0.01 \\
      model.backbone.bottom_up.block.pairwise=dot_product
"""


def build_lazy_parser() -> argparse.ArgumentParser:
    """Detectron2's own options, and what may be demanded of the weights."""
    parser = default_argument_parser(epilog=EXAMPLES)
    parser.add_argument(
        "--allow-unmatched",
        action="store_true",
        help="train even if the weights leave tensors of the backbone as they were",
    )
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="load checkpoints by executing them: whoever made them can do on this machine "
        "whatever you can",
    )
    return parser


def load_lazy_config(args: argparse.Namespace) -> DictConfig:
    """The config that a command line describes, checked.

    Args:
        args: with ``config_file``, which becomes the path found, and ``opts`` as ``key=value``.

    Raises:
        FileNotFoundError: no such config, data or weights; suggests near names.
        ValueError: a part is missing, an override is none, or a combination cannot work.
    """
    if not args.config_file:
        raise ValueError(
            "--config-file is missing; as --config-file configs/lazy/nl_mask_rcnn_R50.py"
        )
    args.config_file = find_lazy_config(args.config_file)
    cfg = LazyConfig.load(args.config_file)
    missing = [part for part in _PARTS if part not in cfg]
    if missing:
        raise ValueError(
            f"{args.config_file} has no {', '.join(missing)}; a lazy config of a training has "
            f"{', '.join(_PARTS)}"
        )
    _override(cfg, list(args.opts or []))
    _check(cfg, args.config_file)
    return cfg


def _override(cfg: DictConfig, overrides: list[str]) -> None:
    for override in overrides:
        key, equals, _ = override.partition("=")
        if not equals:
            raise ValueError(f"{override!r} is no override of a lazy config; write key=value")
        parent, _, leaf = key.rpartition(".")
        node = OmegaConf.select(cfg, parent) if parent else cfg
        # a new argument of a call is no mistake; a part that does not exist is
        known = isinstance(node, ListConfig) or leaf in (node or ()) or "_target_" in (node or ())
        if not known:
            raise ValueError(
                f"{override}: {parent or 'the config'} has no {leaf!r}; it has "
                f"{', '.join(node) if isinstance(node, DictConfig) else 'nothing'}"
            )
        try:
            LazyConfig.apply_overrides(cfg, [override])
        except (OmegaConfBaseException, KeyError) as error:
            raise ValueError(f"{override}: {str(error).splitlines()[0]}") from error


def _check(cfg: DictConfig, config_file: str) -> None:
    device = str(cfg.train.device)
    if cfg.train.amp.enabled and not device.startswith("cuda"):
        raise ValueError(f"train.amp.enabled=True needs CUDA, and train.device={device!r}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"train.device={device!r}, but there is no GPU; set train.device=cpu")
    names = []
    for part in (cfg.dataloader.train, cfg.dataloader.test):
        found = part.dataset.names
        names += [found] if isinstance(found, str) else list(found)
    for name in names:
        check_present(name, config_file)
    weights = cfg.train.init_checkpoint
    if weights and "://" not in weights and not Path(weights).is_file():
        raise FileNotFoundError(f"train.init_checkpoint={weights!r}: no such file")


def check_lazy_model(model: nn.Module, config_file: str) -> None:
    """Refuse a non-local model that ended up without a block.

    Raises:
        ValueError: the config's name begins with ``nl_`` and the model has none.
    """
    if Path(config_file).name.startswith("nl_") and not nonlocal_blocks(model):
        raise ValueError(
            f"{config_file} is a non-local config, but the model it built has no non-local block; "
            "undo the override that removed it, or train the baseline config"
        )
